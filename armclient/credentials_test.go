package armclient_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/intertie/intertie/armclient"
)

func TestParseEnv(t *testing.T) {
	tests := []struct {
		name, in string
		want     map[string]string
		err      string
	}{
		{name: "plain", in: "export A=b\nC=d\n", want: map[string]string{"A": "b", "C": "d"}},
		{name: "comments and blanks", in: "# hello\n\n  export A=b # why\n", want: map[string]string{"A": "b"}},
		{name: "single quotes", in: `export A='a b$c"'`, want: map[string]string{"A": `a b$c"`}},
		{name: "quote in quotes", in: `export A='it'\''s'`, want: map[string]string{"A": "it's"}},
		{name: "double quotes", in: `export A="a \"b\" \$c \n"`, want: map[string]string{"A": `a "b" $c \n`}},
		{name: "empty", in: "export A=\nexport B=''", want: map[string]string{"A": "", "B": ""}},
		{name: "equals in value", in: "A=b=c==", want: map[string]string{"A": "b=c=="}},
		{name: "carriage return", in: "A=b\r\n", want: map[string]string{"A": "b"}},
		{name: "last one wins", in: "A=1\nA=2", want: map[string]string{"A": "2"}},
		{name: "no assignment", in: "A=1\nrm -rf x", err: "line 2 is not NAME=value"},
		{name: "bad name", in: "1A=b", err: "line 1 is not NAME=value"},
		{name: "open quote", in: "A='b", err: "a quote is not closed"},
		{name: "open double quote", in: `A="b\"`, err: "a quote is not closed"},
		{name: "two words", in: "A=b c", err: "more than one word"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := armclient.ParseEnv(strings.NewReader(tt.in))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQuoteIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Filter(func(s string) bool {
			return !strings.ContainsAny(s, "\n\r") // one line each; admin.env never holds more
		}).Draw(t, "value")
		got, err := armclient.ParseEnv(strings.NewReader("export X=" + armclient.Quote(value) + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got["X"] != value {
			t.Fatalf("wrote %q, read %q", value, got["X"])
		}
	})
}

func FuzzParseEnv(f *testing.F) {
	f.Add("export A='b'\\''c' # d\nB=\"x\\\"\"\n")
	f.Fuzz(func(t *testing.T, in string) {
		vars, err := armclient.ParseEnv(strings.NewReader(in))
		if err != nil {
			return
		}
		for name, value := range vars {
			if strings.ContainsAny(value, "\n\r") {
				continue
			}
			again, err := armclient.ParseEnv(strings.NewReader(name + "=" + armclient.Quote(value)))
			if err != nil || again[name] != value {
				t.Fatalf("%s=%q came back as %q, %v", name, value, again[name], err)
			}
		}
	})
}

func TestFromEnv(t *testing.T) {
	set := func(t *testing.T, vars map[string]string) {
		t.Helper()
		for _, name := range []string{
			armclient.EnvURL, armclient.EnvTenant, armclient.EnvClientID,
			armclient.EnvClientSecret, armclient.EnvCAFile, armclient.EnvSubscription,
		} {
			t.Setenv(name, vars[name])
		}
	}
	t.Run("complete", func(t *testing.T) {
		set(t, map[string]string{
			"INTERTIE_URL": "https://127.0.0.1:8443/", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": "id",
			"AZURE_CLIENT_SECRET": "s", "SSL_CERT_FILE": "/ca.pem", "AZURE_SUBSCRIPTION_ID": "sub",
		})
		got, err := armclient.FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		want := armclient.Credentials{
			BaseURL: "https://127.0.0.1:8443", Tenant: "adfs", ClientID: "id",
			ClientSecret: "s", CAFile: "/ca.pem", Subscription: "sub",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an Azure login alone is not enough", func(t *testing.T) {
		set(t, map[string]string{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "s"})
		if _, err := armclient.FromEnv(); err == nil || !strings.Contains(err.Error(), "INTERTIE_URL is not set") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("not a URL", func(t *testing.T) {
		set(t, map[string]string{
			"INTERTIE_URL": "127.0.0.1:8443", "AZURE_TENANT_ID": "t",
			"AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "s",
		})
		if _, err := armclient.FromEnv(); err == nil || !strings.Contains(err.Error(), "is not a URL") {
			t.Errorf("error %v", err)
		}
	})
}

func TestFromEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.env")
	if _, err := armclient.FromEnvFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	text := "export INTERTIE_URL=https://h:1\nexport AZURE_TENANT_ID=adfs\nexport AZURE_CLIENT_ID=a\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := armclient.FromEnvFile(path); err == nil || !strings.Contains(err.Error(), "admin.env: AZURE_CLIENT_SECRET is not set") {
		t.Errorf("incomplete file: %v", err)
	}
	if err := os.WriteFile(path, []byte(text+"export AZURE_CLIENT_SECRET='x y'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := armclient.FromEnvFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.ClientSecret != "x y" || got.BaseURL != "https://h:1" {
		t.Errorf("read %+v", got)
	}
}
