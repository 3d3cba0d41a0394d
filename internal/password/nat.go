package password

import (
	"math/big"
	"math/bits"
)

// A nat is a natural number in 64-bit limbs, the least significant first, of a width that its user fixes. It does what
// drawing needs without allocating, and arithmetic modulo 2^(64*width), which counting relies on.
type nat []uint64

// natOf returns x in the given number of limbs, which must hold it.
func natOf(x *big.Int, limbs int) nat {
	bytes := x.FillBytes(make([]byte, 8*limbs))
	n := make(nat, limbs)
	for i := range n {
		for _, b := range bytes[len(bytes)-8*(i+1):][:8] {
			n[i] = n[i]<<8 | uint64(b)
		}
	}
	return n
}

// big returns n as a big.Int.
func (n nat) big() *big.Int {
	bytes := make([]byte, 8*len(n))
	for i, limb := range n {
		for j := range 8 {
			bytes[len(bytes)-1-8*i-j] = byte(limb >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(bytes)
}

// limbsFor returns how many limbs hold x, at least one.
func limbsFor(x *big.Int) int { return max(1, (x.BitLen()+63)/64) }

// less reports whether n < m. The widths may differ.
func (n nat) less(m nat) bool {
	for i := max(len(n), len(m)) - 1; i >= 0; i-- {
		if a, b := n.limb(i), m.limb(i); a != b {
			return a < b
		}
	}
	return false
}

func (n nat) limb(i int) uint64 {
	if i < len(n) {
		return n[i]
	}
	return 0
}

// set makes n the number m, whose limbs beyond the width of n must be 0.
func (n nat) set(m nat) {
	clear(n[copy(n, m):])
}

// setOne makes n the number 1.
func (n nat) setOne() {
	clear(n)
	n[0] = 1
}

// sub takes m from n, which must not be smaller. The width of m is at most that of n.
func (n nat) sub(m nat) {
	var borrow uint64
	for i := range m {
		n[i], borrow = bits.Sub64(n[i], m[i], borrow)
	}
	for i := len(m); borrow != 0 && i < len(n); i++ {
		n[i], borrow = bits.Sub64(n[i], 0, borrow)
	}
}

// addMul adds m*factor to n, modulo n's width, which is at least that of m.
func (n nat) addMul(m nat, factor uint64) {
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

// subMul takes m*factor from n, modulo n's width, which is at least that of m.
func (n nat) subMul(m nat, factor uint64) {
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

// mulSmall multiplies n by factor, modulo n's width.
func (n nat) mulSmall(factor uint64) {
	var carry uint64
	for i := range n {
		hi, lo := bits.Mul64(n[i], factor)
		var c uint64
		n[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
}

// divSmall divides n by divisor, which is not 0, and returns the remainder.
func (n nat) divSmall(divisor uint64) (remainder uint64) {
	for i := len(n) - 1; i >= 0; i-- {
		n[i], remainder = bits.Div64(remainder, n[i], divisor)
	}
	return remainder
}

// setMul makes n the product of a and b, modulo n's width. It must not share memory with them.
func (n nat) setMul(a, b nat) {
	clear(n)
	for i := range min(len(a), len(n)) {
		if a[i] != 0 {
			n[i:].addMul(b[:min(len(b), len(n)-i)], a[i])
		}
	}
}

// trim returns n without leading zero limbs, but at least one limb.
func (n nat) trim() nat {
	for len(n) > 1 && n[len(n)-1] == 0 {
		n = n[:len(n)-1]
	}
	return n
}

// maxLimbs is how many limbs any number in a draw needs: one that counts strings over 95 characters and a separator,
// with one limb to spare for a product before it is divided.
const maxLimbs = (maxLength*7+63)/64 + 1
