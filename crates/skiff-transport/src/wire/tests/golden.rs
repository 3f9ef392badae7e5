//! One envelope of each kind and its bytes. If such a test fails, nodes of different builds do not
//! understand each other any more.
