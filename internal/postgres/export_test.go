package postgres

// FunctionSQL is the SQL that makes the function, for an identity and its logins.
func FunctionSQL(as string, logins []string) string {
	return New(Config{As: as, Logins: logins}).function()
}

// NewVerifier makes a verifier with a new salt.
func NewVerifier(password string) string { return newVerifier([]byte(password), newSalt()) }
