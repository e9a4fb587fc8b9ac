//! From bytes to text: UTF-8 alone, and not at any length.

use crate::view::manifest::ManifestError;

/// The longest file that is read, in bytes: what the API server takes.
pub const LONGEST: usize = 3 << 20;

/// The text of a file, without its byte order mark.
pub(super) fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ManifestError> {
    if bytes.len() > LONGEST {
        return Err(ManifestError::TooLong { file: file.into() });
    }
    let refused = |text: String| Err(ManifestError::Encoding { file: file.into(), text });
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let wide = [&b"\xff\xfe"[..], b"\xfe\xff", b"\0\0\xfe\xff"].iter().any(|mark| bytes.starts_with(mark));
    // Without a mark, every other byte of ASCII text in UTF-16 is zero.
    let start = &bytes[..bytes.len().min(64)];
    let half = |odd: usize| {
        start.len() > 3 && start.chunks_exact(2).all(|pair| pair[odd] == 0 && pair[1 - odd] != 0)
    };
    if wide || half(0) || half(1) {
        return refused("is UTF-16 or UTF-32; save it as UTF-8".into());
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return refused(format!("is a binary file: byte {at} is zero; a manifest is YAML or JSON text"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            // Lines end as in YAML: by a line feed, a carriage return, or both.
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).replace("\r\n", "\n");
            let line = before.split(['\n', '\r']).count();
            let column = before.rsplit(['\n', '\r']).next().unwrap_or_default().chars().count() + 1;
            Err(ManifestError::Syntax {
                file: file.into(),
                line: line as u64,
                column: column as u64,
                text: "no UTF-8 text; save it as UTF-8".into(),
            })
        }
    }
}
