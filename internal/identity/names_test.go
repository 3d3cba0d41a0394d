package identity_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/test/emulator"
)

// asChild is set in the process that runs with a name server that is silent: whose name it is to ask for.
const asChild = "TEST_NAMES_OF"

// A name that no name server answers for is told as that, of Entra and of GitHub: the time for a request does not end
// before the look-up does.
func TestSilentNameServers(t *testing.T) {
	if whose := os.Getenv(asChild); whose != "" {
		askFor(whose)
		return
	}
	if testing.Short() {
		t.Skip("it waits for silent name servers")
	}
	silent, err := net.ListenPacket("udp", "127.0.96.1:53") // nobody reads from it
	if err != nil {
		t.Skipf("this machine lets nobody be a name server: %v", err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
		t.Skipf("this machine allows no mount namespace: %v", err)
	}
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.96.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for whose, want := range map[string]string{
		"entra":  "Entra at https://login.microsoftonline.com/ cannot be reached: ",
		"github": "GitHub's token service cannot be reached: ",
	} {
		t.Run(whose, func(t *testing.T) {
			t.Parallel()
			child := exec.Command("unshare", "--mount", "sh", "-c", // #nosec G204 -- this program
				`mount --bind "$1" /etc/resolv.conf && exec "$2" -test.run='^TestSilentNameServers$'`,
				"sh", resolv, os.Args[0])
			child.Env = []string{asChild + "=" + whose, "PATH=" + os.Getenv("PATH")}
			out, err := child.CombinedOutput()
			want += "the name could not be resolved: no name server answered in time; " +
				"check the runner's network and proxy"
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v; want %q in:\n%s", err, want, out)
			}
		})
	}
}

// askFor prints why there is no token.
func askFor(whose string) {
	job := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   "https://x.actions.githubusercontent.com/",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x",
	}
	client := network.NewClient(nil, nil)
	r := runner.New(func(name string) string { return job[name] }, os.Stdout, client)
	if whose == "github" {
		_, err := r.IDToken(context.Background(), "x")
		fmt.Println(err)
		return
	}
	c, err := identity.New(identity.Config{
		Cloud: azure.Public(), TenantID: emulator.DefaultTenant, ClientID: emulator.DefaultClient,
		Audience: azure.Public().Audience, HTTP: client, IDToken: r.IDToken,
	})
	if err != nil {
		panic(err)
	}
	_, err = c.GetToken(context.Background(), vault)
	fmt.Println(err)
}
