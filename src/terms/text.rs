//! Making text from anywhere uniform before it is cut into words.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// Bytes of one field that are analysed. A description says what it is about in its first pages;
/// the bound keeps one endless item from taking the memory of all others.
const FIELD_BYTES: usize = 64 * 1024;

/// Longest tag that is taken for markup, in bytes. A `<` without a `>` near it is a comparison.
const MARKUP_BYTES: usize = 500;

/// The text in NFKC without markup, addresses of the web and of mail, and invisible characters.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let text = without_addresses(without_markup(head(text)));
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n') && byte != b'`')
    {
        return text;
    }
    Cow::Owned(
        text.chars()
            // Compatibility mappings would glue these to the word before them ("TM", "(R)").
            .map(|c| {
                if matches!(c, '™' | '®' | '©' | '℠') {
                    ' '
                } else {
                    c
                }
            })
            .nfkc()
            .filter(|&c| !is_invisible(c))
            .map(|c| match c {
                '’' | '‘' | 'ʼ' | '`' | '′' => '\'',
                '\r' | '\u{2028}' | '\u{2029}' => '\n',
                c if c.is_control() && c != '\n' => ' ',
                c => c,
            })
            .collect(),
    )
}

/// The first [`FIELD_BYTES`] of the text, cut between two characters.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(FIELD_BYTES)]
}

/// Soft hyphens, joiners, direction marks and byte order marks: two words that differ in one of
/// these look the same to everyone.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Replaces tags by a space and the commonest character references by what they stand for.
fn without_markup(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '&']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let (replacement, length) = tag(from)
            .or_else(|| reference(from))
            .unwrap_or((&from[..1], 1));
        plain.push_str(replacement);
        rest = &from[length..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What replaces the tag that `text` starts with, and the tag's length.
fn tag(text: &str) -> Option<(&'static str, usize)> {
    let inner = text.strip_prefix('<')?;
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
        return None;
    }
    // Not further than the longest tag: a text of `<a <a <a` would be read to its end at each.
    let near = text.as_bytes().iter().take(MARKUP_BYTES);
    let end = near.into_iter().position(|&byte| byte == b'>')?;
    Some((" ", end + 1))
}

/// What the character reference that `text` starts with stands for, and the reference's length.
fn reference(text: &str) -> Option<(&'static str, usize)> {
    const REFERENCES: [(&str, &str); 9] = [
        ("&amp;", "&"),
        ("&nbsp;", " "),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&rsquo;", "'"),
        ("&lt;", " "),
        ("&gt;", " "),
    ];
    REFERENCES
        .iter()
        .find(|(name, _)| text.starts_with(name))
        .map(|&(name, character)| (character, name.len()))
}

/// Replaces every address by a line break, so that what stands around it does not become
/// neighbours.
fn without_addresses(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains("www.") && !text.contains('@') {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    for chunk in text.split_inclusive(ends_address) {
        let (body, end) = match chunk.char_indices().next_back() {
            Some((at, last)) if ends_address(last) => chunk.split_at(at),
            _ => (chunk, ""),
        };
        match address(body) {
            None => plain.push_str(body),
            Some(start) => {
                plain.push_str(&body[..start]);
                plain.push('\n');
            }
        }
        plain.push_str(end);
    }
    Cow::Owned(plain)
}

/// What no address goes beyond. Text between two of these holds one address at most.
fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | ')' | ']' | '}' | '|')
}

/// Where the address starts that the chunk ends with.
fn address(chunk: &str) -> Option<usize> {
    if let Some(colon) = chunk.find("://") {
        let before = &chunk[..colon];
        let scheme = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        return Some(scheme.len());
    }
    if let Some(start) = chunk.find("www.") {
        return Some(start);
    }
    let (user, host) = chunk.split_once('@')?;
    let is_mail = user.ends_with(|c: char| c.is_alphanumeric()) && host.contains('.');
    is_mail.then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_and_composed_forms_become_the_plain_ones() {
        assert_eq!(clean("Ｃａｆｅ\u{301} ﬁlm"), "Café film");
    }

    #[test]
    fn markup_and_character_references_leave_only_their_text() {
        assert_eq!(
            clean("<p class=\"x\">salt &amp; pepper</p>"),
            " salt & pepper "
        );
        assert_eq!(clean("2 < 3 and 4 > 3"), "2 < 3 and 4 > 3");
    }

    #[test]
    fn addresses_are_dropped_and_what_surrounds_them_stays() {
        assert_eq!(clean("see (https://a.example/b?c=d) now"), "see (\n) now");
        assert_eq!(clean("[docs](http://a.example/x)"), "[docs](\n)");
        assert_eq!(
            clean("mail me@a.example or www.a.example today"),
            "mail \n or \n today"
        );
        assert_eq!(clean("follow @someone"), "follow @someone");
    }

    #[test]
    fn every_address_is_dropped_where_they_stand_side_by_side() {
        assert_eq!(
            clean("http://a.example|http://b.example/x|end"),
            "\n|\n|end"
        );
        assert_eq!(
            clean("[a](https://a.example)[b](www.b.example)'me@c.example'"),
            "[a](\n)[b](\n)'\n'"
        );
    }

    #[test]
    fn a_tag_is_no_longer_than_its_bound() {
        let tag = |bytes: usize| format!("<{}>", "a".repeat(bytes - 2));
        assert_eq!(clean(&tag(MARKUP_BYTES)), " ");
        assert_eq!(clean(&tag(MARKUP_BYTES + 1)), tag(MARKUP_BYTES + 1));
    }

    #[test]
    fn a_trademark_sign_does_not_become_a_part_of_the_word() {
        assert_eq!(clean("Lego™ bricks®"), "Lego  bricks ");
    }

    #[test]
    fn endless_text_is_cut_between_two_characters() {
        let text = "é".repeat(FIELD_BYTES);
        assert_eq!(clean(&text).len(), FIELD_BYTES);
        let shifted = format!("a{text}");
        assert_eq!(clean(&shifted).len(), FIELD_BYTES - 1);
    }
}
