//! Those who write at the same time. A command without an answer is written again: it has a key of
//! its own, so that twice is as good as once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use skiff::Client;
use skiff_kv::{Command, Kv, Response};
use tokio::task::{JoinError, JoinSet};

use super::ledger::Ledger;
use crate::failure::Failure;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long a command may take with all its attempts: what takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(40);
/// After an attempt that ended at once.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) struct Writers {
    tasks: JoinSet<Result<(), Failure>>,
}

impl Writers {
    pub(crate) fn start(client: &Client<Kv>, ledger: &Arc<Ledger>, count: u16) -> Self {
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let client = client.clone().with_timeout(ATTEMPT);
            let ledger = Arc::clone(ledger);
            tasks.spawn(async move {
                while let Some(number) = ledger.claim().await {
                    write(&client, &ledger, number).await?;
                }
                Ok(())
            });
        }
        Self { tasks }
    }

    /// Waits until a writer fails; for ever if none does.
    pub(crate) async fn failure(&mut self) -> Failure {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(failure) = result(ended) {
                return failure;
            }
        }
        std::future::pending().await
    }

    /// Waits until all have written what they had to.
    pub(crate) async fn finish(&mut self) -> Result<(), Failure> {
        while let Some(ended) = self.tasks.join_next().await {
            result(ended)?;
        }
        Ok(())
    }
}

fn result(ended: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    ended.map_err(|error| Failure::failed(format!("a writer ended: {error}")))?
}

async fn write(client: &Client<Kv>, ledger: &Ledger, number: u64) -> Result<(), Failure> {
    let (key, value) = ledger.pair(number);
    let first = Instant::now();
    loop {
        let attempt = Instant::now();
        let error = match client.command(Command::put(&*key, value.clone())).await {
            Ok(Response::Done { .. }) => {
                ledger.acknowledge(number, first, attempt);
                return Ok(());
            }
            Ok(other) => return Err(Failure::failed(format!("{key} was answered {other:?}"))),
            Err(error) => error,
        };
        if first.elapsed() > PATIENCE {
            return Err(Failure::failed(format!(
                "{key} was not acknowledged within {PATIENCE:?}; the last attempt ended so: {error}"
            )));
        }
        ledger.retry();
        tokio::time::sleep(PAUSE).await;
    }
}
