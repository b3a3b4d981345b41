//! How much may wait for handlers, or for whoever pulls events.

/// What may wait somewhere before nothing more is read. Once there is so much, half of it has to go: or reading would stop and
/// go on with each event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) events: usize,
}

impl Room {
    /// Whether there is none left, with so many events.
    pub(crate) fn is_full(self, was_full: bool, events: usize) -> bool {
        let Self { events: most } = self;
        // Above half.
        let marks = if was_full { most.min((most / 2).saturating_add(1)) } else { most };
        events >= marks
    }
}
