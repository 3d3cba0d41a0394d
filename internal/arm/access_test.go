package arm

import "testing"

// A pattern of a role's actions stands for what Azure documents:
// https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions-format
func TestMatches(t *testing.T) {
	const action = "Microsoft.Sql/servers/write"
	for pattern, want := range map[string]bool{
		"*": true, "*/write": true, "Microsoft.Sql/*": true, "Microsoft.Sql/servers/*": true, "microsoft.sql/SERVERS/write": true,
		"Microsoft.Sql/*/write": true, "*/servers/*": true, action: true, "Microsoft.Sql/servers/write*": true,
		"": false, "*/read": false, "Microsoft.Sql/servers": false, "Microsoft.Sql/servers/write/x": false,
		"Microsoft.Sql/servers/*/write": false, "Microsoft.Sql/servers/databases/*": false, "Microsoft.DBforMySQL/*": false,
	} {
		if got := matchesAny([]string{"nothing/at/all", pattern}, action); got != want {
			t.Errorf("%q matches %s: %t; want %t", pattern, action, got, want)
		}
	}
}
