//! Messages as clients send them on a WebSocket.

#![allow(unreachable_pub, dead_code, reason = "each program uses a part of this module")]

/// A frame as clients send it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0x80, payload.len());
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame as servers send it.
pub fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0, payload.len());
    frame.extend(payload);
    frame
}

fn header(opcode: u8, masked: u8, len: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match len {
        0..=125 => header.push(masked | len as u8),
        126..=0xffff => {
            header.push(masked | 126);
            header.extend((len as u16).to_be_bytes());
        }
        _ => {
            header.push(masked | 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header
}

/// An event with a string.
pub fn text(event: &str, len: usize) -> Vec<u8> {
    frame(1, format!(r#"42["{event}","{}"]"#, "x".repeat(len)).as_bytes())
}

/// An event that asks for an acknowledgement.
pub fn acknowledged(len: usize) -> Vec<u8> {
    frame(1, format!(r#"421["ack","{}"]"#, "x".repeat(len)).as_bytes())
}

/// An event with one attachment.
pub fn attachment(len: usize) -> Vec<u8> {
    [frame(1, br#"451-["binary",{"_placeholder":true,"num":0}]"#), frame(2, &vec![7; len])].concat()
}
