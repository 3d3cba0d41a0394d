package password

import "math/bits"

// charMask is a set of ASCII characters, a bit for each.
type charMask [2]uint64

// maskOf returns the characters of an ASCII text as a set.
func maskOf(text string) charMask {
	var m charMask
	for i := range len(text) {
		m[text[i]>>6&1] |= 1 << (text[i] & 63)
	}
	return m
}

func (m charMask) has(c byte) bool              { return c < 128 && m[c>>6]>>(c&63)&1 != 0 }
func (m charMask) and(other charMask) charMask  { return charMask{m[0] & other[0], m[1] & other[1]} }
func (m charMask) or(other charMask) charMask   { return charMask{m[0] | other[0], m[1] | other[1]} }
func (m charMask) less(other charMask) charMask { return charMask{m[0] &^ other[0], m[1] &^ other[1]} }
func (m charMask) count() int                   { return bits.OnesCount64(m[0]) + bits.OnesCount64(m[1]) }
func (m charMask) isEmpty() bool                { return m == charMask{} }

// chars returns the characters in the order of ASCII.
func (m charMask) chars() string {
	text := make([]byte, 0, m.count())
	for c := range byte(128) {
		if m.has(c) {
			text = append(text, c)
		}
	}
	return string(text)
}

// splitBy returns the parts of m whose characters have the same value of f, in the order of their first characters.
func splitBy[K comparable](m charMask, f func(c byte) K) []charMask {
	index := make(map[K]int)
	var parts []charMask
	for _, c := range []byte(m.chars()) {
		k := f(c)
		i, ok := index[k]
		if !ok {
			i = len(parts)
			index[k] = i
			parts = append(parts, charMask{})
		}
		parts[i][c>>6] |= 1 << (c & 63)
	}
	return parts
}

// lowest returns the first character in the order of ASCII. The set must not be empty.
func (m charMask) lowest() byte {
	if m[0] != 0 {
		return byte(bits.TrailingZeros64(m[0]))
	}
	return byte(64 + bits.TrailingZeros64(m[1]))
}

// nth returns the character before which there are n others in the set. There must be so many.
func (m charMask) nth(n int) byte {
	for ; n > 0; n-- {
		if m[0] != 0 {
			m[0] &= m[0] - 1
		} else {
			m[1] &= m[1] - 1
		}
	}
	return m.lowest()
}
