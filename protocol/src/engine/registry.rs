//! Which sessions there are.

use alloc::sync::Arc;

use slab::Slab;

use super::{Routed, Session, SidSource, route};
use crate::{
    Config, Instant, Seed,
    hash::FastMap,
    http::Request,
    key::{ConnKey, Sid},
};

/// The sessions of an Engine.IO server by their ids and keys: what sessions that are owned by tasks of their own still
/// share. [`super::Server`] has one; a driver keeps one behind a lock.
///
/// ```
/// use sockeye_protocol::{Config, Instant, Seed, engine::{Registry, Routed}, http::Request};
///
/// let mut registry = Registry::new(Config::default(), &Seed::for_tests(1));
/// let target = "/socket.io/?EIO=4&transport=polling";
/// let head = Request { method: "GET", target, headers: &[], peer: None, secure: false };
/// assert_eq!(registry.route(&head), Routed::Open);
/// let (key, session) = registry.open(Instant::ZERO);
/// assert_eq!(registry.len(), 1);
/// registry.remove(key);
/// # drop(session);
/// assert!(registry.is_empty());
/// ```
#[derive(Debug)]
pub struct Registry {
    config: Arc<Config>,
    source: SidSource,
    keys: Slab<(u32, Sid)>,
    generation: u32,
    /// Sids are random and ours; peers only look them up.
    sids: FastMap<Sid, ConnKey>,
}

impl Registry {
    /// A server's registry, without sessions.
    pub fn new(config: impl Into<Arc<Config>>, seed: &Seed) -> Self {
        Self {
            config: config.into(),
            source: SidSource::new(seed),
            keys: Slab::new(),
            generation: 0,
            sids: FastMap::default(),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The number of sessions.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Says where a request goes, by its head alone.
    pub fn route(&self, head: &Request<'_>) -> Routed<ConnKey> {
        route(&self.config, head, |sid| self.sids.get(&sid).copied())
    }

    /// Makes the session that [`route`](Self::route) said [`Routed::Open`] for. The request is to be given to it next.
    pub fn open(&mut self, now: Instant) -> (ConnKey, Session) {
        self.generation = self.generation.wrapping_add(1);
        let sid = self.source.next_sid();
        let index = self.keys.insert((self.generation, sid));
        let key = ConnKey { index: u32::try_from(index).unwrap_or(u32::MAX), generation: self.generation };
        self.sids.insert(sid, key);
        (key, Session::new(now, Arc::clone(&self.config), sid))
    }

    /// Forgets a session that [is drained](Session::is_drained). One that is gone is none.
    pub fn remove(&mut self, key: ConnKey) {
        let index = key.index as usize;
        let Some((generation, sid)) = self.keys.get(index).copied() else { return };
        if generation != key.generation {
            return;
        }
        self.keys.remove(index);
        self.sids.remove(&sid);
        if self.keys.is_empty() {
            // What a crowd took is given back when it has left.
            self.keys = Slab::new();
            self.sids.shrink_to(0);
        }
    }
}
