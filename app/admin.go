package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/atomicfile"
)

// writeAdminEnv writes the file by which any Azure SDK signs in as the first
// Owner. It is written anew at every start, because it names the address; the
// secret is kept from the file there was. A file that was lost gets a new
// secret, so that an operator is never locked out of the own data folder. trust is
// the file by which clients believe our certificate, "" when they do anyway.
func (a *App) writeAdminEnv(ctx context.Context, secret, trust string) error {
	path := filepath.Join(a.opts.Data, adminName)
	admin, ok := a.directory.ByObjectID(a.settings.Admin)
	if !ok {
		return nil // removed by an operator: there is no admin any more
	}
	if secret == "" {
		old, err := armclient.FromEnvFile(path)
		if err == nil && admin.VerifySecret(old.ClientSecret, a.clock.Now()) == nil {
			secret = old.ClientSecret
		}
	}
	if secret == "" {
		var stored access.Secret
		secret, stored = access.NewSecret("replacement of a lost admin.env", a.clock.Now(), time.Time{})
		admin.Secrets = append(admin.Secrets, stored)
		if err := a.directory.Put(ctx, admin); err != nil {
			return fmt.Errorf("renew the admin's secret: %w", err)
		}
		a.logger.Warn("admin.env was missing or did not fit; wrote one with a new secret", "file", path)
	}
	if trust != "" {
		var err error
		if trust, err = filepath.Abs(trust); err != nil {
			return err
		}
	}
	a.admin = armclient.Credentials{
		BaseURL: a.URL(), Tenant: "adfs", ClientID: admin.AppID, ClientSecret: secret, CAFile: trust, Subscription: a.settings.Subscription,
	}
	var b strings.Builder
	b.WriteString("# The Owner of this Intertie server: source it, and any Azure SDK signs in.\n# Keep it secret.\n")
	for _, v := range [][2]string{
		{"AZURE_AUTHORITY_HOST", a.URL()},
		{"AZURE_TENANT_ID", "adfs"},
		{"AZURE_CLIENT_ID", admin.AppID},
		{"AZURE_CLIENT_SECRET", secret},
		{"AZURE_SUBSCRIPTION_ID", a.settings.Subscription},
		{"SSL_CERT_FILE", trust},
		{"REQUESTS_CA_BUNDLE", trust},
		{"NODE_EXTRA_CA_CERTS", trust},
		{"INTERTIE_URL", a.URL()},
		{"INTERTIE_TENANT_ID", a.settings.Tenant},
	} {
		if v[1] != "" {
			fmt.Fprintf(&b, "export %s=%s\n", v[0], armclient.Quote(v[1]))
		}
	}
	return atomicfile.Write(path, []byte(b.String()), 0o600)
}
