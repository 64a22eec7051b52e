use crate::client::Client;
use std::time::Duration;

/// Where the locks live, and how they are held.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) client: Option<Client>,
    pub(crate) url: Option<String>,
    pub(crate) settings: Vec<(String, String)>,
}

impl Options {
    /// The defaults: the environment's `MPSYNC_…`, else the elector next to this program.
    pub fn new() -> Options {
        Options::default()
    }

    /// Where the locks live: `file:locks.db`, `http://…`, `kubernetes:`, `etcd://…`, `memory:`.
    pub fn url(mut self, url: impl Into<String>) -> Options {
        self.url = Some(url.into());
        self
    }

    /// Where this client's locks live, whatever the URL says.
    pub fn client(mut self, client: &Client) -> Options {
        self.client = Some(client.clone());
        self
    }

    /// How long a right lasts without renewal.
    pub fn ttl(self, ttl: Duration) -> Options {
        self.set("ttl", format!("{}ms", milliseconds(ttl)))
    }

    /// How long to wait at most.
    pub fn wait(self, wait: Duration) -> Options {
        self.set("wait", format!("{}ms", milliseconds(wait)))
    }

    /// How others see this holder.
    pub fn identity(self, identity: impl Into<String>) -> Options {
        self.set("identity", identity)
    }

    /// Any option by name, as URLs and the environment have it.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// Rounded up, so that a short wait is never none.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
