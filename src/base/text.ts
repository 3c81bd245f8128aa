/**
 * UTF-8 by hand, to and from binary strings (one character per byte), because keys live in rooms without Buffer and
 * because Buffer turns a lone surrogate into U+FFFD without a word: two different strings would become one key.
 */

const ASCII = /^[\0-\x7f]*$/

/** null: the text has a surrogate without its other half, so it has no UTF-8 form. */
export function utf8FromText(text: string): string | null {
  if (ASCII.test(text)) return text
  let bytes = ''
  for (let at = 0; at < text.length; at += 1) {
    const point = text.codePointAt(at)!
    if (point < 0x80) bytes += String.fromCharCode(point)
    else if (point < 0x800) bytes += String.fromCharCode(0xc0 | (point >> 6), tail(point))
    else if (point < 0x10000) {
      if (point >= 0xd800 && point <= 0xdfff) return null
      bytes += String.fromCharCode(0xe0 | (point >> 12), tail(point >> 6), tail(point))
    } else {
      bytes += String.fromCharCode(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point))
      at += 1
    }
  }
  return bytes
}

/** null: not UTF-8 (truncated, overlong, a surrogate, beyond U+10FFFF, or a character above U+00FF). */
export function textFromUtf8(bytes: string): string | null {
  if (ASCII.test(bytes)) return bytes
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const first = bytes.charCodeAt(at)
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
    if (length === 0 || at + length > bytes.length) return null
    let point = length === 1 ? first : first & (0xff >> (length + 1))
    for (let next = at + 1; next < at + length; next += 1) {
      const byte = bytes.charCodeAt(next)
      if (byte < 0x80 || byte > 0xbf) return null
      point = (point << 6) | (byte & 0x3f)
    }
    const tooShort = (length === 3 && point < 0x800) || (length === 4 && point < 0x10000)
    if (tooShort || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return null
    text += String.fromCodePoint(point)
    at += length
  }
  return text
}

function tail(bits: number): number {
  return 0x80 | (bits & 0x3f)
}
