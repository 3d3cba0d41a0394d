package targets

import (
	"testing"

	"keyvault-passwords/internal/test/pgserver"
)

// BenchmarkRotation is a whole run of the program that gives one secret a new version: without a target, and with one.
// The server is on loopback, ends TLS and takes SCRAM with 4,096 iterations.
func BenchmarkRotation(b *testing.B) {
	for _, version := range pgserver.Versions {
		b.Run("PostgreSQL "+version, func(b *testing.B) {
			s := pgserver.Get(b, version)
			for _, o := range []order{"no target", oneLogin, twoLogins} {
				b.Run(string(o), func(b *testing.B) {
					w := newWorld(b, s, o)
					defer w.close()
					if o == "no target" {
						if err := w.job.Declare("secrets: {" + w.name + ": {login: app}}\n"); err != nil {
							b.Fatal(err)
						}
					}
					w.job.Input("mode=force")
					for b.Loop() {
						if r := w.action(nil); r.Status != 0 {
							b.Fatalf("status %d:\n%s", r.Status, r.Log)
						}
					}
				})
			}
		})
	}
}
