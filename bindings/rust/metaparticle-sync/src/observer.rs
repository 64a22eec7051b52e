use crate::error::Error;
use crate::handle::Handle;
use crate::native;
use crate::request::{block_on, Request, Told};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Who leads, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The leader's identity.
    pub holder: String,
    /// What the leader tells its observers.
    pub value: Option<String>,
    /// The fencing token of its term.
    pub token: u64,
}

/// The changes of one name's leader: an iterator that waits for the next, which is
/// [`Observer::changed`] for tasks. It ends when its client is closed.
pub struct Observer {
    request: Request,
    over: bool,
}

impl Observer {
    pub(crate) fn start(handle: &Handle) -> Result<Observer, Error> {
        let native = handle.client.native();
        let start = |number| native.observe_start(number, &handle.name);
        let request = Request::start(&handle.client, handle.client.number(), start)?;
        Ok(Observer { request, over: false })
    }

    /// Who leads now (`None`: nobody) or, from the second call on, next; `None` at the end.
    pub async fn changed(&mut self) -> Option<Option<Leader>> {
        poll_fn(|context| self.poll_changed(context)).await
    }

    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<Option<Option<Leader>>> {
        if self.over {
            return Poll::Ready(None);
        }
        self.request.poll_next(context).map(|told| self.see(told))
    }

    fn see(&mut self, told: Result<Told, Error>) -> Option<Option<Leader>> {
        let event = told.ok().map(|told| told.event).filter(|event| event.kind() == native::LEADER);
        self.over = event.is_none();
        let event = event?;
        let leader = |holder| Leader { holder, value: event.value(), token: event.token };
        Some(event.holder().map(leader))
    }

    /// The same as a `Stream`.
    #[cfg(feature = "stream")]
    pub fn changes(self) -> Changes {
        Changes(self)
    }
}

impl Iterator for Observer {
    type Item = Option<Leader>;

    fn next(&mut self) -> Option<Option<Leader>> {
        block_on(self.changed())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.request.client.native().observe_stop(self.request.number);
    }
}

/// An [`Observer`] as a `Stream`.
#[cfg(feature = "stream")]
pub struct Changes(Observer);

#[cfg(feature = "stream")]
impl futures_core::Stream for Changes {
    type Item = Option<Leader>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Option<Leader>>> {
        self.0.poll_changed(context)
    }
}
