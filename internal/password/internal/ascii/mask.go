// Package ascii is sets of ASCII characters and the named classes of them. It knows nothing of passwords.
package ascii

import "math/bits"

// A Mask is a set of ASCII characters, a bit for each. The zero value is the empty set. Masks compare with ==.
type Mask [2]uint64

// Of returns the characters of an ASCII text as a set. Of any other text the result means nothing.
func Of(text string) Mask {
	var m Mask
	for i := range len(text) {
		m[text[i]>>6&1] |= 1 << (text[i] & 63)
	}
	return m
}

// Has reports whether c is in the set.
func (m Mask) Has(c byte) bool { return c < 128 && m[c>>6]>>(c&63)&1 != 0 }

// And returns the characters that are in both sets.
func (m Mask) And(other Mask) Mask { return Mask{m[0] & other[0], m[1] & other[1]} }

// Or returns the characters that are in either set.
func (m Mask) Or(other Mask) Mask { return Mask{m[0] | other[0], m[1] | other[1]} }

// Minus returns the characters that are in m and not in other.
func (m Mask) Minus(other Mask) Mask { return Mask{m[0] &^ other[0], m[1] &^ other[1]} }

// Add puts an ASCII character into the set.
func (m *Mask) Add(c byte) { m[c>>6&1] |= 1 << (c & 63) }

// Count returns the number of characters.
func (m Mask) Count() int { return bits.OnesCount64(m[0]) + bits.OnesCount64(m[1]) }

// IsEmpty reports whether the set has no character.
func (m Mask) IsEmpty() bool { return m == Mask{} }

// Chars returns the characters in the order of ASCII.
func (m Mask) Chars() string {
	text := make([]byte, 0, m.Count())
	for half, rest := range m {
		for ; rest != 0; rest &= rest - 1 {
			text = append(text, byte(64*half+bits.TrailingZeros64(rest)))
		}
	}
	return string(text)
}

// Lowest returns the first character in the order of ASCII. The set must not be empty.
func (m Mask) Lowest() byte {
	if m[0] != 0 {
		return byte(bits.TrailingZeros64(m[0]))
	}
	return byte(64 + bits.TrailingZeros64(m[1]))
}

// Nth returns the n-th character in the order of ASCII, from 0. The set must have more than n characters.
func (m Mask) Nth(n int) byte {
	for ; n > 0; n-- {
		if m[0] != 0 {
			m[0] &= m[0] - 1
		} else {
			m[1] &= m[1] - 1
		}
	}
	return m.Lowest()
}

// Split returns the parts of m whose characters have the same value of f, in the order of their first characters.
func Split[K comparable](m Mask, f func(c byte) K) []Mask {
	index := make(map[K]int)
	var parts []Mask
	for _, c := range []byte(m.Chars()) {
		k := f(c)
		i, ok := index[k]
		if !ok {
			i = len(parts)
			index[k] = i
			parts = append(parts, Mask{})
		}
		parts[i].Add(c)
	}
	return parts
}

// Lower returns the set with its upper-case letters in lower case.
func (m Mask) Lower() Mask {
	const letters = 1<<26 - 1
	uppers := m[1] & (letters << ('A' - 64))
	m[1] = m[1]&^uppers | uppers<<('a'-'A')
	return m
}

// Lower returns c in lower case.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Upper returns c in upper case.
func Upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
