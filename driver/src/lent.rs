//! Memory that is lent for the time of a call, one per thread, so that no connection holds any.

use std::cell::Cell;

use sockeye_protocol::socket::Encoder;

thread_local! {
    /// In a box, since it is taken out and put back with each event.
    static ENCODER: Cell<Option<Box<Encoder>>> = const { Cell::new(None) };
}

/// Has something encoded and sent. Whoever is called meanwhile, a `Serialize` of the application for instance, may do the
/// same.
pub(crate) fn encoder<T>(send: impl FnOnce(&mut Encoder) -> T) -> T {
    let mut encoder = ENCODER.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let sent = send(&mut encoder);
    encoder.clear();
    // A thread that ends has no place for it any more.
    let _ = ENCODER.try_with(|place| place.set(Some(encoder)));
    sent
}
