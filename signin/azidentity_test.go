package signin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/signin"
)

const tenantID = "33333333-aaaa-4bbb-8ccc-000000000003"

type oneApp struct{ access.ServicePrincipal }

func (o oneApp) ByAppID(id string) (access.ServicePrincipal, bool) {
	return o.ServicePrincipal, strings.EqualFold(id, o.AppID)
}

// TestAzidentity signs in with the credential types that programs use, over
// TLS, with and without instance discovery switched off.
func TestAzidentity(t *testing.T) {
	signingKey, err := access.NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := access.NewTokens([][]byte{signingKey}, access.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	app := access.NewServicePrincipal(tenantID, "acme", now)
	secret, stored := access.NewSecret("", now, now.AddDate(1, 0, 0))
	app.Secrets = []access.Secret{stored}
	cert, key := newClientCertificate(t)
	registered, err := access.NewCertificate(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), "")
	if err != nil {
		t.Fatal(err)
	}
	app.Certificates = []access.Certificate{registered}

	srv := httptest.NewTLSServer(&signin.Handler{
		Tokens: tokens, Directory: oneApp{app}, Tenant: tenantID,
		BaseURL: func(r *http.Request) (string, error) { return "https://" + r.Host, nil },
	})
	t.Cleanup(srv.Close)
	client := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: srv.URL + "/"},
		Transport: srv.Client(),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}

	bySecret := func(tenant, secret string, noDiscovery bool) func() (azcore.TokenCredential, error) {
		return func() (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(tenant, app.AppID, secret, &azidentity.ClientSecretCredentialOptions{
				ClientOptions: client, DisableInstanceDiscovery: noDiscovery,
			})
		}
	}
	byCertificate := func(tenant string, noDiscovery, chain bool) func() (azcore.TokenCredential, error) {
		return func() (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential(tenant, app.AppID, []*x509.Certificate{cert}, key,
				&azidentity.ClientCertificateCredentialOptions{
					ClientOptions: client, DisableInstanceDiscovery: noDiscovery, SendCertificateChain: chain,
				})
		}
	}
	tests := []struct {
		name string
		cred func() (azcore.TokenCredential, error)
	}{
		{"secret, tenant id", bySecret(tenantID, secret, true)},
		{"secret, adfs", bySecret("adfs", secret, false)},
		{"certificate, tenant id", byCertificate(tenantID, true, false)},
		{"certificate with chain, tenant id", byCertificate(tenantID, true, true)},
		{"certificate, adfs", byCertificate("adfs", false, false)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cred, err := tt.cred()
			if err != nil {
				t.Fatal(err)
			}
			for scope, audiences := range map[string][]string{
				"https://management.azure.com/.default":  access.ManagementAudiences(),
				"https://management.azure.com//.default": access.ManagementAudiences(),
				srv.URL + "/.default":                    access.ManagementAudiences(srv.URL),
				"https://eventgrid.azure.net/.default":   access.DataAudiences(),
				srv.URL + "/graph/.default":              access.GraphAudiences(srv.URL),
			} {
				token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}, EnableCAE: true})
				if err != nil {
					t.Fatalf("%s: %v", scope, err)
				}
				c, err := tokens.Verify(token.Token, audiences)
				if err != nil {
					t.Fatalf("%s: %v", scope, err)
				}
				if c.ObjectID != app.ObjectID || c.AppID != app.AppID || c.Tenant != tenantID {
					t.Errorf("claims %+v", c)
				}
				if left := time.Until(token.ExpiresOn); left < 59*time.Minute || left > time.Hour {
					t.Errorf("client believes the token lasts %v", left)
				}
			}
		})
	}

	otherCert, otherKey := newClientCertificate(t)
	refusals := []struct {
		name string
		cred func() (azcore.TokenCredential, error)
		want string
	}{
		{"wrong secret, tenant id", bySecret(tenantID, "wrong", true), "AADSTS7000215"},
		{"wrong secret, adfs", bySecret("adfs", "wrong", false), "AADSTS7000215"},
		{"unregistered certificate", func() (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential("adfs", app.AppID, []*x509.Certificate{otherCert}, otherKey,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: client})
		}, "AADSTS700027"},
		{"unknown app", func() (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential("adfs", "00000000-0000-4000-8000-000000000000", secret,
				&azidentity.ClientSecretCredentialOptions{ClientOptions: client})
		}, "AADSTS700016"},
	}
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			cred, err := tt.cred()
			if err != nil {
				t.Fatal(err)
			}
			_, err = cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
			var failed *azidentity.AuthenticationFailedError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v", err)
			}
			if failed.RawResponse == nil || failed.RawResponse.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %+v", failed.RawResponse)
			}
		})
	}

	t.Run("tenant that is not ours", func(t *testing.T) {
		cred, err := bySecret("44444444-0000-4000-8000-000000000000", secret, true)()
		if err != nil {
			t.Fatal(err)
		}
		_, err = cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
		if err == nil || !strings.Contains(err.Error(), "AADSTS90002") {
			t.Fatalf("got %v", err)
		}
	})
}

func newClientCertificate(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
