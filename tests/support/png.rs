//! PNG files for tests, without a crate for images: 8 bits a channel, rows as they are.

use std::io::Write;

/// An image of `height` rows; `pixel` gives red, green and blue at a row and a column.
pub fn png(height: u32, width: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for row in 0..height {
        // No filter.
        rows.push(0);
        (0..width).for_each(|column| rows.extend(pixel(row, column)));
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&rows).unwrap();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    // Bits a channel, colours, and the only kinds of compression, filters and no interlacing.
    chunk(&mut file, b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat());
    chunk(&mut file, b"IDAT", &encoder.finish().unwrap());
    chunk(&mut file, b"IEND", &[]);
    file
}

/// Appends a chunk, with its length and checksum.
pub fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    file.extend((content.len() as u32).to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(content);
    file.extend(kind);
    file.extend(content);
    file.extend(crc.sum().to_be_bytes());
}
