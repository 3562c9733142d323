package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/intertie/intertie/app"
	"github.com/intertie/intertie/armclient"
)

type envCmd struct {
	Data string `help:"Data folder of the server. Default ${default}." default:"${data}" placeholder:"DIR" env:"INTERTIE_DATA"`
}

// Run prints shell text that may be read by a person, pasted, or sourced.
func (c *envCmd) Run(s streams) error {
	path := filepath.Join(c.Data, "admin.env")
	text, err := os.ReadFile(path)
	if err != nil {
		return noServerYet(c.Data, err)
	}
	vars, err := armclient.ParseEnv(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_, err = fmt.Fprintf(s.out, "# %s: any Azure SDK works with these\n%s\n\n%s", path,
		strings.TrimRight(string(text), "\n"), azSetup(vars[armclient.EnvURL]))
	return err
}

// azSetup registers the server as a cloud of az, in a profile of its own. The
// authority needs /adfs as its first path segment: only then does az not ask
// Microsoft's own sign-in host whether the server's host may be trusted.
func azSetup(base string) string {
	base = strings.TrimRight(base, "/")
	if base == "" {
		base = "https://" + app.DefaultOptions().Listen
	}
	cloud := fmt.Sprintf(`{"endpoints": {"resourceManager": "%[1]s", "activeDirectory": "%[1]s/adfs",`+
		` "activeDirectoryResourceId": "https://management.azure.com/",`+
		` "activeDirectoryGraphResourceId": "%[1]s/graph/", "microsoftGraphResourceId": "%[1]s/graph/"}}`, base)
	return `# az: a profile beside your own, and this server as its cloud
export AZURE_CONFIG_DIR="$HOME/.azure-intertie"
az cloud register --name Intertie --cloud-config ` + armclient.Quote(cloud) + `
az cloud set --name Intertie
az login --service-principal --username "$AZURE_CLIENT_ID" --password "$AZURE_CLIENT_SECRET" --tenant "$INTERTIE_TENANT_ID"
`
}
