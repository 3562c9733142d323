package armclient

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
)

// Names of the variables that a data folder's admin.env sets and [FromEnv]
// reads. The AZURE_ ones are those that the Azure SDKs read too.
const (
	EnvURL           = "INTERTIE_URL"
	EnvTenantID      = "INTERTIE_TENANT_ID"
	EnvAuthorityHost = "AZURE_AUTHORITY_HOST"
	EnvTenant        = "AZURE_TENANT_ID"
	EnvClientID      = "AZURE_CLIENT_ID"
	EnvClientSecret  = "AZURE_CLIENT_SECRET" //nolint:gosec // the name of a variable
	EnvSubscription  = "AZURE_SUBSCRIPTION_ID"
	EnvCAFile        = "SSL_CERT_FILE"
)

// Credentials say which server to talk to, and as whom.
type Credentials struct {
	BaseURL      string // https://host:port of the server, without a path
	Tenant       string // first path segment of the sign-in endpoints: "adfs" or a tenant GUID
	ClientID     string
	ClientSecret string
	CAFile       string // PEM file with the server's CA; "" means the system's roots alone
	Subscription string // the Azure subscription to use when none is named; may be ""
}

// Validate reports the first thing that is missing, by the name of the
// variable that would set it.
func (c Credentials) Validate() error {
	for _, f := range []struct{ env, value string }{
		{EnvURL, c.BaseURL},
		{EnvTenant, c.Tenant},
		{EnvClientID, c.ClientID},
		{EnvClientSecret, c.ClientSecret},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is not set", f.env)
		}
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("%s=%q is not a URL like https://127.0.0.1:8443", EnvURL, c.BaseURL)
	}
	return nil
}

// As returns credentials for another principal of the same server.
func (c Credentials) As(p Principal) Credentials {
	c.ClientID, c.ClientSecret = p.AppID, p.Secret
	return c
}

// TLSConfig trusts the system's roots and, if CAFile is set, that CA.
func (c Credentials) TLSConfig() (*tls.Config, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the server's CA: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the server's CA: %s holds no PEM certificate", c.CAFile)
		}
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// FromEnv reads credentials from the environment that admin.env sets.
// INTERTIE_URL must be there: credentials of a real Azure tenant that happen
// to be set are never sent to a server nobody named.
func FromEnv() (Credentials, error) {
	return fromLookup(os.Getenv)
}

// FromEnvFile reads credentials from a file with lines `export NAME=value`,
// as the first start of a server writes into its data folder. A missing file
// is reported as [fs.ErrNotExist].
func FromEnvFile(path string) (Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Credentials{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		return Credentials{}, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	vars, err := ParseEnv(f)
	if err != nil {
		return Credentials{}, fmt.Errorf("%s: %w", path, err)
	}
	c, err := fromLookup(func(name string) string { return vars[name] })
	if err != nil {
		return Credentials{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func fromLookup(get func(string) string) (Credentials, error) {
	c := Credentials{
		BaseURL:      strings.TrimRight(get(EnvURL), "/"),
		Tenant:       get(EnvTenant),
		ClientID:     get(EnvClientID),
		ClientSecret: get(EnvClientSecret),
		CAFile:       get(EnvCAFile),
		Subscription: get(EnvSubscription),
	}
	return c, c.Validate()
}

// ParseEnv reads shell lines of the form `[export ]NAME=value`. A value is one
// word: bare, or in single or double quotes as [Quote] writes them. Empty lines
// and comments are skipped; anything else is an error that names its line.
// It runs nothing and expands nothing.
func ParseEnv(r io.Reader) (map[string]string, error) {
	vars := map[string]string{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimSpace(rest)
		}
		name, word, ok := strings.Cut(line, "=")
		if !ok || !isName(name) {
			return nil, fmt.Errorf("line %d is not NAME=value", n)
		}
		value, err := unquote(word)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		vars[name] = value
	}
	return vars, lines.Err()
}

// Quote writes a value as one word of a POSIX shell.
func Quote(value string) string {
	plain := value != "" && strings.IndexFunc(value, func(r rune) bool {
		return !isNameRune(r) && !strings.ContainsRune("-./:@%+,", r)
	}) < 0
	if plain {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func unquote(word string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		switch b := word[i]; b {
		case '\'':
			end := strings.IndexByte(word[i+1:], '\'')
			if end < 0 {
				return "", errors.New("a quote is not closed")
			}
			out.WriteString(word[i+1 : i+1+end])
			i += end + 1
		case '"':
			for i++; ; i++ {
				if i >= len(word) {
					return "", errors.New("a quote is not closed")
				}
				if word[i] == '"' {
					break
				}
				if word[i] == '\\' && i+1 < len(word) && strings.IndexByte("\"\\$`", word[i+1]) >= 0 {
					i++
				}
				out.WriteByte(word[i])
			}
		case '\\':
			if i++; i >= len(word) {
				return "", errors.New("a backslash ends the line")
			}
			out.WriteByte(word[i])
		case ' ', '\t':
			if rest := strings.TrimSpace(word[i:]); rest != "" && rest[0] != '#' {
				return "", errors.New("more than one word; quote the value")
			}
			return out.String(), nil
		default:
			out.WriteByte(b)
		}
	}
	return out.String(), nil
}

func isName(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') && strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) }) < 0
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
