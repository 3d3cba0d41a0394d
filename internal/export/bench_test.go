package export_test

import (
	"testing"

	"keyvault-passwords/internal/export"
)

// counting counts bytes.
type counting int64

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return len(p), nil
}

// largest is how long the longest piece is that is written at once.
type largest int

func (l *largest) Write(p []byte) (int, error) {
	*l = max(*l, largest(len(p)))
	return len(p), nil
}

// A report is written piece by piece, and never stands in memory as a whole.
func TestFormsAreStreams(t *testing.T) {
	r := sample(3000)
	for _, ending := range export.Endings() {
		var l largest
		if err := export.FormOf(ending)(&l, r, run); err != nil {
			t.Fatal(err)
		}
		if l == 0 || l > 64<<10 {
			t.Errorf("%s: a piece of %d bytes; want 64 KiB at most", ending, l)
		}
	}
}

// What a report of 20,000 secrets costs in each form.
func BenchmarkForms(b *testing.B) {
	r := sample(20000)
	for _, ending := range export.Endings() {
		b.Run(ending, func(b *testing.B) {
			b.ReportAllocs()
			var n counting
			for b.Loop() {
				n = 0
				if err := export.FormOf(ending)(&n, r, run); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
