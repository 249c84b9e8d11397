//! HTML of a note to plain text. Only real HTML tags go: `bp <90` and `he said <knife` keep every word.

use std::borrow::Cow;

/// Elements whose start or end breaks the line.
const BREAKS: &[&str] = &[
    "address",
    "article",
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];
/// Elements that stand within a line, or say nothing.
const INLINE: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "area",
    "audio",
    "b",
    "base",
    "bdi",
    "bdo",
    "big",
    "body",
    "button",
    "canvas",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "del",
    "dfn",
    "em",
    "embed",
    "figcaption",
    "font",
    "head",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "link",
    "map",
    "mark",
    "meta",
    "meter",
    "noscript",
    "object",
    "option",
    "param",
    "picture",
    "progress",
    "q",
    "s",
    "samp",
    "select",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "svg",
    "textarea",
    "time",
    "track",
    "tt",
    "u",
    "var",
    "video",
    "wbr",
];
/// Elements whose content is not text.
const DROPPED: &[&str] = &["script", "style"];

/// Plain text, and whether a script or style was dropped.
pub(super) fn to_text(html: &str) -> (Cow<'_, str>, bool) {
    if !html.contains(['<', '&']) {
        return (Cow::Borrowed(html), false);
    }
    let mut text = String::with_capacity(html.len());
    let mut dropped = false;
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if from.starts_with('&') {
            rest = entity(from, &mut text);
        } else if let Some(after) = from.strip_prefix("<!--") {
            rest = after.split_once("-->").map_or(after, |(_, after)| after);
        } else if let Some((name, after)) = tag(from) {
            rest = after;
            if DROPPED.contains(&name.as_str()) && !from.starts_with("</") {
                dropped = true;
                rest = after_end(after, &name).unwrap_or(after);
            } else if BREAKS.contains(&name.as_str()) && !text.ends_with('\n') {
                text.push('\n');
            }
        } else {
            text.push('<');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    text.push_str(rest);
    (Cow::Owned(text.trim().to_owned()), dropped)
}

/// The name of the HTML tag at the start of the text, in lower case, and what follows the tag.
fn tag(from: &str) -> Option<(String, &str)> {
    let inner = from.strip_prefix("</").or_else(|| from.strip_prefix('<'))?;
    let name_end = inner.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let (name, _) = inner.split_at(name_end);
    let name = name.to_ascii_lowercase();
    let known = [BREAKS, INLINE, DROPPED].iter().any(|list| list.contains(&name.as_str()));
    let (inside, after) = inner.split_once('>')?;
    // Another `<` first means that this one never was a tag; words that are no attributes are somebody's words.
    let attributes = inside.split_at(name_end).1.trim();
    let plausible = attributes.is_empty() || attributes == "/" || attributes.contains('=');
    (known && plausible && !inside.contains('<')).then_some((name, after))
}

/// What follows the end tag of a dropped element; `None` where it never ends.
fn after_end<'a>(from: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = from;
    while let Some((_, after)) = rest.split_once("</") {
        let is_end = after.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is_end {
            return after.split_once('>').map(|(_, after)| after);
        }
        rest = after;
    }
    None
}

/// Takes the character reference at the start of the text, or the ampersand as it stands.
fn entity<'a>(from: &'a str, text: &mut String) -> &'a str {
    let after_mark = from.get(1..).unwrap_or_default();
    let found = after_mark.split_once(';').filter(|(name, _)| name.len() <= 8).and_then(|(name, after)| {
        let character = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => ' ',
            _ => numeric(name)?,
        };
        Some((character, after))
    });
    if let Some((character, after)) = found {
        text.push(character);
        return after;
    }
    text.push('&');
    after_mark
}

fn numeric(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code).filter(|character| !character.is_control() || matches!(character, '\t' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::to_text;

    fn text(html: &str) -> String {
        to_text(html).0.into_owned()
    }

    #[test]
    fn tags_go_and_words_stay() {
        assert_eq!(text("plain"), "plain");
        assert_eq!(text("<p>one</p><P class=\"x\">two<br/>three</P>"), "one\ntwo\nthree");
        assert_eq!(text("<b>bold</b> &amp; &#233;&nbsp;&lt;b&gt; &unknown; & more"), "bold & é <b> &unknown; & more");
        assert_eq!(text("bp <90, sat >80"), "bp <90, sat >80");
        assert_eq!(text("<caller has a knife> and <a knife too>"), "<caller has a knife> and <a knife too>");
        assert_eq!(text("a <!-- hidden --> b <!-- open"), "a  b  open");
        assert_eq!(text("<i <b>x</b>"), "<i x");
    }

    #[test]
    fn scripts_go_with_their_content_only_where_they_end() {
        assert_eq!(to_text("a<script type='x'>if (1</2) {}</SCRIPT>b"), ("ab".into(), true));
        assert_eq!(text("<style>p{}</style>x"), "x");
        assert_eq!(text("<script>knife"), "knife");
    }
}
