package declaration

import "testing"

// BenchmarkParse reads 2,000 secrets: once with one policy for all, and once with a login each, which makes the policy
// of each a different one.
func BenchmarkParse(b *testing.B) {
	const head = "vault: kv-app\n" +
		"policies:\n  service: {length: 40, characters: [{from: letter}, {from: digit, min: 2}]}\n" +
		"secrets:\n"
	const secret = "  secret-%d:\n    policy: service\n    expires: 90d\n    tags: {owner: data-platform}\n" +
		"    rotate: {before-expiry: 14d}\n"
	for name, text := range map[string]string{
		"presets": numbered(secret, 2000),
		"logins":  numbered("  secret-%d: {policy: azure-sql, login: application-%[1]d}\n", 2000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(Source{File: "passwords.yml", Text: []byte(head + text)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
