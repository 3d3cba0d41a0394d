package uniform

import (
	"math/big"
	"math/bits"
)

// A Nat is a natural number in 64-bit limbs, the least significant first, of a width that its user fixes. It does what
// drawing needs without allocating, and arithmetic modulo 2^(64*width), which counting relies on.
type Nat []uint64

// NatOf returns x in the given number of limbs, which must hold it.
func NatOf(x *big.Int, limbs int) Nat {
	bytes := x.FillBytes(make([]byte, 8*limbs))
	n := make(Nat, limbs)
	for i := range n {
		for _, b := range bytes[len(bytes)-8*(i+1):][:8] {
			n[i] = n[i]<<8 | uint64(b)
		}
	}
	return n
}

// Big returns n as a big.Int.
func (n Nat) Big() *big.Int {
	bytes := make([]byte, 8*len(n))
	for i, limb := range n {
		for j := range 8 {
			bytes[len(bytes)-1-8*i-j] = byte(limb >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(bytes)
}

// LimbsFor returns how many limbs hold x, at least one.
func LimbsFor(x *big.Int) int { return max(1, (x.BitLen()+63)/64) }

// Less reports whether n < m. The widths may differ.
func (n Nat) Less(m Nat) bool {
	for i := max(len(n), len(m)) - 1; i >= 0; i-- {
		if a, b := n.limb(i), m.limb(i); a != b {
			return a < b
		}
	}
	return false
}

func (n Nat) limb(i int) uint64 {
	if i < len(n) {
		return n[i]
	}
	return 0
}

// Set makes n the number m, whose limbs beyond the width of n must be 0.
func (n Nat) Set(m Nat) {
	clear(n[copy(n, m):])
}

// SetOne makes n the number 1.
func (n Nat) SetOne() {
	clear(n)
	n[0] = 1
}

// Sub takes m from n, which must not be smaller. The width of m is at most that of n.
func (n Nat) Sub(m Nat) {
	var borrow uint64
	for i := range m {
		n[i], borrow = bits.Sub64(n[i], m[i], borrow)
	}
	for i := len(m); borrow != 0 && i < len(n); i++ {
		n[i], borrow = bits.Sub64(n[i], 0, borrow)
	}
}

// AddMul adds m*factor to n, modulo n's width, which is at least that of m.
func (n Nat) AddMul(m Nat, factor uint64) {
	var carry uint64
	n = n[:len(n):len(n)]
	for i := range m {
		hi, lo := bits.Mul64(m[i], factor)
		lo, c := bits.Add64(lo, carry, 0)
		hi += c
		n[i], c = bits.Add64(n[i], lo, 0)
		carry = hi + c
	}
	for i := len(m); carry != 0 && i < len(n); i++ {
		n[i], carry = bits.Add64(n[i], carry, 0)
	}
}

// SubMul takes m*factor from n, modulo n's width, which is at least that of m.
func (n Nat) SubMul(m Nat, factor uint64) {
	var carry uint64
	for i := range m {
		hi, lo := bits.Mul64(m[i], factor)
		lo, c := bits.Add64(lo, carry, 0)
		hi += c
		n[i], c = bits.Sub64(n[i], lo, 0)
		carry = hi + c
	}
	for i := len(m); carry != 0 && i < len(n); i++ {
		n[i], carry = bits.Sub64(n[i], carry, 0)
	}
}

// MulSmall multiplies n by factor, modulo n's width.
func (n Nat) MulSmall(factor uint64) {
	var carry uint64
	for i := range n {
		hi, lo := bits.Mul64(n[i], factor)
		var c uint64
		n[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
}

// DivSmall divides n by divisor, which is not 0, and returns the remainder.
func (n Nat) DivSmall(divisor uint64) (remainder uint64) {
	for i := len(n) - 1; i >= 0; i-- {
		n[i], remainder = bits.Div64(remainder, n[i], divisor)
	}
	return remainder
}

// SetMul makes n the product of a and b, modulo n's width. It must not share memory with them.
func (n Nat) SetMul(a, b Nat) {
	clear(n)
	for i := range min(len(a), len(n)) {
		if a[i] != 0 {
			n[i:].AddMul(b[:min(len(b), len(n)-i)], a[i])
		}
	}
}

// Trim returns n without leading zero limbs, but at least one limb.
func (n Nat) Trim() Nat {
	for len(n) > 1 && n[len(n)-1] == 0 {
		n = n[:len(n)-1]
	}
	return n
}
