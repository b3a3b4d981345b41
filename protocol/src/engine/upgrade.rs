//! The upgrade from polling to WebSocket, as one table.
//!
//! The client opens a WebSocket beside its polling requests (the *candidate*), sends `2probe`, gets `3probe`, waits for
//! its requests to be answered and sends `5`. Until then everything flows over polling, and whatever happens to the
//! candidate leaves the session alone.
//!
//! | state \ event | request       | `2probe`       | `5`            | other packet  | lost   | timeout       | session ends |
//! |---------------|---------------|----------------|----------------|---------------|--------|---------------|--------------|
//! | `Polling`     | accept → `Opened` | –          | –              | –             | –      | –             | → `Over`     |
//! | `Opened`      | refuse        | answer → `Probed` | close → `Polling` | close → `Polling` | → `Polling` | close → `Polling` | close → `Over` |
//! | `Probed`      | refuse        | close → `Polling` | switch → `Upgraded` | close → `Polling` | → `Polling` | close → `Polling` | close → `Over` |
//! | `Upgraded`    | refuse        | –              | –              | –             | –      | –             | –            |
//! | `Over`        | refuse        | –              | –              | –             | –      | –             | –            |
//!
//! "close" closes the candidate only. JavaScript accepts `5` without a probe and answers any number of probes; here the
//! first is a violation, since packets would overtake those on their way over polling, and one probe is enough.

/// How far a session is on its way from polling to WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// On polling, without a candidate.
    Polling,
    /// On polling; a candidate is open.
    Opened,
    /// On polling; the candidate's probe was answered.
    Probed,
    /// On WebSocket.
    Upgraded,
    /// The session has ended on polling.
    Over,
}

/// What happens to the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A request for a WebSocket of this session.
    Request,
    /// The candidate sends `2probe`.
    Probe,
    /// The candidate sends `5`.
    Upgrade,
    /// The candidate sends something else, or what is not a packet.
    Other,
    /// The candidate has closed, failed or broken the WebSocket protocol: it is closing already.
    Lost,
    /// The candidate's time is over.
    Timeout,
    /// The session ends.
    End,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Answer 101: a candidate is born.
    Accept,
    /// Answer 400 instead of 101.
    Refuse,
    /// Send `3probe`, and from now on end waiting GETs.
    Answer,
    /// Make the candidate the session's transport.
    Switch,
    /// Close the candidate.
    Close,
}

impl State {
    /// Whether the session is on polling.
    pub(crate) const fn is_polling(self) -> bool {
        matches!(self, Self::Polling | Self::Opened | Self::Probed)
    }

    /// Takes one step through the table.
    pub(crate) const fn step(&mut self, event: Event) -> Action {
        let (next, action) = match (*self, event) {
            (Self::Polling, Event::Request) => (Self::Opened, Action::Accept),
            (state, Event::Request) => (state, Action::Refuse),

            (Self::Opened, Event::Probe) => (Self::Probed, Action::Answer),
            (Self::Probed, Event::Upgrade) => (Self::Upgraded, Action::Switch),
            (Self::Opened | Self::Probed, Event::Probe | Event::Upgrade | Event::Other | Event::Timeout) => {
                (Self::Polling, Action::Close)
            }
            (Self::Opened | Self::Probed, Event::Lost) => (Self::Polling, Action::None),
            (Self::Opened | Self::Probed, Event::End) => (Self::Over, Action::Close),

            (Self::Polling, Event::End) => (Self::Over, Action::None),
            (state, _) => (state, Action::None),
        };
        *self = next;
        action
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Event, State};

    /// Every state with every event.
    #[test]
    fn the_whole_table() {
        use Action as A;
        use State as S;
        let events =
            [Event::Request, Event::Probe, Event::Upgrade, Event::Other, Event::Lost, Event::Timeout, Event::End];
        let back = (S::Polling, A::Close);
        let rows = [
            (
                S::Polling,
                [
                    (S::Opened, A::Accept),
                    (S::Polling, A::None),
                    (S::Polling, A::None),
                    (S::Polling, A::None),
                    (S::Polling, A::None),
                    (S::Polling, A::None),
                    (S::Over, A::None),
                ],
            ),
            (
                S::Opened,
                [
                    (S::Opened, A::Refuse),
                    (S::Probed, A::Answer),
                    back,
                    back,
                    (S::Polling, A::None),
                    back,
                    (S::Over, A::Close),
                ],
            ),
            (
                S::Probed,
                [
                    (S::Probed, A::Refuse),
                    back,
                    (S::Upgraded, A::Switch),
                    back,
                    (S::Polling, A::None),
                    back,
                    (S::Over, A::Close),
                ],
            ),
            (
                S::Upgraded,
                [
                    (S::Upgraded, A::Refuse),
                    (S::Upgraded, A::None),
                    (S::Upgraded, A::None),
                    (S::Upgraded, A::None),
                    (S::Upgraded, A::None),
                    (S::Upgraded, A::None),
                    (S::Upgraded, A::None),
                ],
            ),
            (
                S::Over,
                [
                    (S::Over, A::Refuse),
                    (S::Over, A::None),
                    (S::Over, A::None),
                    (S::Over, A::None),
                    (S::Over, A::None),
                    (S::Over, A::None),
                    (S::Over, A::None),
                ],
            ),
        ];
        for (state, row) in rows {
            for (event, (next, action)) in events.into_iter().zip(row) {
                let mut stepped = state;
                let done = stepped.step(event);
                assert_eq!((stepped, done), (next, action), "{state:?} {event:?}");
            }
        }
    }
}
