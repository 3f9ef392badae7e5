//! A connection in the original's shape, seen as one that sends and receives.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use skiff_core::Instant;

use super::{Settings, kind::Question};
use crate::{
    call::{Call, CallConnection, CallReply, Calls, Reply},
    envelope::{Body, Envelope},
    pending::{self, HasPending, Pending},
    transport::{Inbox, NotSent, Signal, TransportError},
};

/// So many questions of the other side may be unanswered. The oldest is answered with nothing.
const QUESTIONS: usize = 1024;

/// The other side of a connection.
pub(super) struct Peer {
    connection: Arc<dyn CallConnection>,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Pending,
    up: bool,
    /// When to try again, while it is down.
    again: Timer,
    /// What waits until it may be a call.
    queue: VecDeque<Envelope>,
    /// Our calls that are not answered, by number.
    calls: BTreeMap<u64, Timer>,
    last_call: u64,
    /// Somebody is making calls, and will make those that are queued meanwhile.
    calling: bool,
    /// The other side's calls that are not answered, the oldest first.
    questions: VecDeque<Asked>,
    /// Tells two runs of the other side apart.
    run: Option<(u64, u64)>,
}

impl HasPending for State {
    fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }
}

struct Asked {
    question: Question,
    reply: Reply,
    timer: Timer,
}

/// Runs from the first tick after it was made, as nobody tells the time in between.
#[derive(Clone, Copy, Default)]
struct Timer(Option<Instant>);

impl Timer {
    fn is_over(&mut self, now: Instant, span: Duration) -> bool {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        now >= *self.0.get_or_insert_with(|| now.after(span))
    }
}

/// Answers to give with the lock released.
type Replies = Vec<(Reply, CallReply)>;

fn give(replies: Replies) {
    replies.into_iter().for_each(|(reply, answer)| reply.tell(answer));
}

impl Peer {
    pub(super) fn new(connection: Arc<dyn CallConnection>, settings: Settings) -> Arc<Self> {
        Arc::new(Self { connection, settings, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        pending::lock(&self.state)
    }

    /// It counts as up until a call fails: this shape does not tell.
    pub(super) fn listen(self: &Arc<Self>, to: Inbox) {
        let weak = Arc::downgrade(self);
        self.connection.listen(Calls::new(move |call, reply| match weak.upgrade() {
            Some(peer) => peer.called(call.envelope, reply),
            None => reply.tell(Err(TransportError::Closed("the node is gone"))),
        }));
        let mut state = self.state();
        state.pending.listen(to);
        state.come_up();
        pending::tell(&self.state, state);
    }

    pub(super) fn send(self: &Arc<Self>, envelope: Envelope) -> Result<(), NotSent> {
        let mut state = self.state();
        if !state.up {
            return Err(NotSent::Down);
        }
        let replies = state.answer(&envelope);
        if !replies.is_empty() {
            drop(state);
            give(replies);
            return Ok(());
        }
        if state.queue.len() >= self.settings.queue {
            return Err(NotSent::Full);
        }
        state.queue.push_back(envelope);
        self.call(state);
        Ok(())
    }

    /// Makes calls of what is queued, as many as may be outstanding; one at a time, so that they
    /// leave in their order.
    fn call<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if mem::replace(&mut state.calling, true) {
            return;
        }
        while state.calls.len() < self.settings.outstanding {
            let Some(envelope) = state.queue.pop_front() else { break };
            state.last_call += 1;
            let number = state.last_call;
            state.calls.insert(number, Timer::default());
            drop(state);
            let weak = Arc::downgrade(self);
            let reply = Reply::new(move |reply| {
                if let Some(peer) = weak.upgrade() {
                    peer.answered(number, reply);
                }
            });
            self.connection.invoke(Call { envelope }, reply);
            state = self.state();
        }
        state.calling = false;
    }

    /// One of our calls was answered.
    fn answered(self: &Arc<Self>, number: u64, reply: CallReply) {
        let mut state = self.state();
        if state.calls.remove(&number).is_none() {
            // It was given up: what it would say is of the past.
            return;
        }
        let mut replies = Replies::new();
        match reply {
            Ok(Some(envelope)) => state.pending.put(Signal::Received(envelope)),
            Ok(None) => {}
            Err(error) => replies = state.go_down(&error.to_string()),
        }
        drop(state);
        self.go_on(replies);
    }

    /// The other side calls.
    fn called(self: &Arc<Self>, envelope: Envelope, reply: Reply) {
        let mut state = self.state();
        if state.pending.is_closed() {
            drop(state);
            return reply.tell(Err(TransportError::Closed("the connection is closed")));
        }
        let mut replies = state.note_run(&envelope);
        state.come_up();
        match Question::of(&envelope) {
            Some(question) => {
                state.questions.push_back(Asked { question, reply, timer: Timer::default() });
            }
            None => replies.push((reply, Ok(None))),
        }
        if state.questions.len() > QUESTIONS {
            replies.extend(state.questions.pop_front().map(|asked| (asked.reply, Ok(None))));
        }
        state.pending.put(Signal::Received(envelope));
        drop(state);
        self.go_on(replies);
    }

    pub(super) fn tick(self: &Arc<Self>, now: Instant) {
        let timeout = self.settings.timeout;
        let mut state = self.state();
        if state.pending.is_closed() {
            return;
        }
        let mut replies = Replies::new();
        let late = |asked: &mut Asked| asked.timer.is_over(now, timeout / 2);
        // Every timer is looked at, as that starts it. The oldest are over first.
        for _ in 0..state.questions.iter_mut().filter_map(|asked| late(asked).then_some(())).count()
        {
            replies.extend(state.questions.pop_front().map(|asked| (asked.reply, Ok(None))));
        }
        let mut over = 0;
        for timer in state.calls.values_mut() {
            over += usize::from(timer.is_over(now, timeout));
        }
        if over > 0 {
            replies.extend(state.go_down("no answer in time"));
        } else if !state.up && state.again.is_over(now, timeout / 4) {
            state.come_up();
        }
        drop(state);
        self.go_on(replies);
    }

    /// Does what the last change left to do. No lock is held.
    fn go_on(self: &Arc<Self>, replies: Replies) {
        give(replies);
        pending::tell(&self.state, self.state());
        self.call(self.state());
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        let closed = state.pending.is_closed();
        let replies = state.forget("the connection is closed");
        let leftover = state.pending.close();
        drop(state);
        drop(leftover);
        give(replies);
        if !closed {
            self.connection.close();
        }
    }
}

impl State {
    fn come_up(&mut self) {
        if !self.pending.is_closed() && !mem::replace(&mut self.up, true) {
            self.pending.put(Signal::Up);
        }
    }

    fn go_down(&mut self, reason: &str) -> Replies {
        if self.up {
            self.pending.put(Signal::Down(reason.to_owned()));
        }
        self.again = Timer::default();
        self.forget("the connection went down")
    }

    /// Forgets everything under way: no call outlives its peer.
    fn forget(&mut self, reason: &'static str) -> Replies {
        self.up = false;
        self.queue.clear();
        self.calls.clear();
        let questions = self.questions.drain(..);
        questions.map(|asked| (asked.reply, Err(TransportError::Closed(reason)))).collect()
    }

    /// Answers the questions that `envelope` answers: the last of them with it, the others with
    /// nothing.
    fn answer(&mut self, envelope: &Envelope) -> Replies {
        if self.questions.is_empty() {
            return Replies::new();
        }
        let all = mem::take(&mut self.questions).into_iter();
        let (answered, left): (VecDeque<_>, _) =
            all.partition(|asked| asked.question.is_answered_by(envelope));
        self.questions = left;
        let mut replies: Replies =
            answered.into_iter().map(|asked| (asked.reply, Ok(None))).collect();
        if let Some((_, answer)) = replies.last_mut() {
            *answer = Ok(Some(envelope.clone()));
        }
        replies
    }

    /// If the other side has restarted, what was under way is not for it.
    fn note_run(&mut self, envelope: &Envelope) -> Replies {
        let Body::Hello(hello) = &envelope.body else { return Replies::new() };
        let run = Some((envelope.boot, hello.nonce));
        let restarted = self.run.is_some() && self.run != run;
        self.run = run;
        if restarted { self.go_down("the other side has restarted") } else { Replies::new() }
    }
}
