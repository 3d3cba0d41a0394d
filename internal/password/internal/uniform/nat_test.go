package uniform

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
		return Nat(rapid.SliceOfN(limb, 0, 4).Draw(t, "limbs")).Big()
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
		check := func(what string, got Nat, want *big.Int) {
			if got.Big().Cmp(modulo(want, len(got))) != 0 {
				t.Fatalf("%s of %x, %x, %x = %x, want %x", what, x, y, factor, got.Big(), want)
			}
		}
		of := func(x *big.Int) Nat { return NatOf(x, limbs) }

		check("NatOf", of(x), new(big.Int).Set(x))
		n := of(x)
		n.AddMul(of(y).Trim(), factor)
		check("addMul", n, new(big.Int).Add(x, new(big.Int).Mul(y, bigFactor)))
		n = of(x)
		n.SubMul(of(y).Trim(), factor)
		check("subMul", n, new(big.Int).Sub(x, new(big.Int).Mul(y, bigFactor)))
		n = of(x)
		n.MulSmall(factor)
		check("mulSmall", n, new(big.Int).Mul(x, bigFactor))
		n = make(Nat, 2*limbs)
		n.SetMul(of(x).Trim(), of(y))
		check("setMul", n, new(big.Int).Mul(x, y))

		n = of(x)
		quotient, remainder := new(big.Int).QuoRem(x, bigFactor, new(big.Int))
		if got := n.DivSmall(factor); got != remainder.Uint64() {
			t.Fatalf("the remainder of %x by %x = %x, want %x", x, factor, got, remainder)
		}
		check("divSmall", n, quotient)
		if got, want := of(x).Less(of(y).Trim()), x.Cmp(y) < 0; got != want {
			t.Fatalf("%x < %x: %t, want %t", x, y, got, want)
		}
		n = of(x)
		if x.Cmp(y) >= 0 {
			n.Sub(of(y).Trim())
			check("sub", n, new(big.Int).Sub(x, y))
		}
	})
}
