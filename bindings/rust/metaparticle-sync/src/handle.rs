//! A native lock or election, and its place in the client's books.

use crate::client::Client;
use crate::native;
use std::ops::Deref;
use std::sync::Arc;

pub(crate) struct Handle {
    pub client: Arc<Client>,
    native: native::Handle,
}

impl Handle {
    pub fn new(client: Arc<Client>, native: native::Handle) -> Handle {
        Handle { client, native }
    }
}

impl Deref for Handle {
    type Target = native::Handle;

    #[inline]
    fn deref(&self) -> &native::Handle {
        &self.native
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.client.forget(self.native.id());
    }
}
