package password

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// bigNumbers generates numbers of up to four limbs, many of which carry and borrow.
func bigNumbers() *rapid.Generator[*big.Int] {
	limb := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1 << 63, math.MaxUint64}), rapid.Uint64())
	return rapid.Custom(func(t *rapid.T) *big.Int {
		return nat(rapid.SliceOfN(limb, 0, 4).Draw(t, "limbs")).big()
	})
}

// modulo returns x modulo 2^(64*limbs).
func modulo(x *big.Int, limbs int) *big.Int {
	return x.Mod(x, new(big.Int).Lsh(big.NewInt(1), uint(64*limbs)))
}

func TestNatAgreesWithBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limbs = 5
		x, y := bigNumbers().Draw(t, "x"), bigNumbers().Draw(t, "y")
		factor := rapid.Uint64Min(1).Draw(t, "factor")
		bigFactor := new(big.Int).SetUint64(factor)
		check := func(what string, got nat, want *big.Int) {
			if got.big().Cmp(modulo(want, len(got))) != 0 {
				t.Fatalf("%s of %x, %x, %x = %x, want %x", what, x, y, factor, got.big(), want)
			}
		}
		of := func(x *big.Int) nat { return natOf(x, limbs) }

		check("natOf", of(x), new(big.Int).Set(x))
		n := of(x)
		n.addMul(of(y).trim(), factor)
		check("addMul", n, new(big.Int).Add(x, new(big.Int).Mul(y, bigFactor)))
		n = of(x)
		n.subMul(of(y).trim(), factor)
		check("subMul", n, new(big.Int).Sub(x, new(big.Int).Mul(y, bigFactor)))
		n = of(x)
		n.mulSmall(factor)
		check("mulSmall", n, new(big.Int).Mul(x, bigFactor))
		n = make(nat, 2*limbs)
		n.setMul(of(x).trim(), of(y))
		check("setMul", n, new(big.Int).Mul(x, y))

		n = of(x)
		quotient, remainder := new(big.Int).QuoRem(x, bigFactor, new(big.Int))
		if got := n.divSmall(factor); got != remainder.Uint64() {
			t.Fatalf("the remainder of %x by %x = %x, want %x", x, factor, got, remainder)
		}
		check("divSmall", n, quotient)
		if got, want := of(x).less(of(y).trim()), x.Cmp(y) < 0; got != want {
			t.Fatalf("%x < %x: %t, want %t", x, y, got, want)
		}
		n = of(x)
		if x.Cmp(y) >= 0 {
			n.sub(of(y).trim())
			check("sub", n, new(big.Int).Sub(x, y))
		}
	})
}
