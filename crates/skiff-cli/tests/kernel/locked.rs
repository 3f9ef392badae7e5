//! Two processes and one directory.

use crate::{history::History, nodes::Nodes};

#[test]
fn a_second_process_is_refused_by_the_number_of_the_first_which_serves_on() {
    let history = History::new();
    let mut nodes = Nodes::formed(1);
    let first = nodes.server(0).pid();
    let mut others = Nodes::new(1);
    others.keep_in(0, nodes.dir(0).to_owned());
    others.start(0);
    let second = others.server(0);
    second.hear(&format!("is in use by process {first}; each node needs a directory of its own"));
    assert_eq!(second.ended().code(), Some(1));
    nodes.put(&history, "after").unwrap();
    nodes.check(&history);

    // The lock ends with its process, however that ends.
    nodes.kill(0);
    others.start(0);
    others.leader();
    others.check(&history);
}
