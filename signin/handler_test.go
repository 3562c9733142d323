package signin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/access"
)

const tenant = "33333333-aaaa-4bbb-8ccc-000000000003"

type directory map[string]access.ServicePrincipal

func (d directory) ByAppID(id string) (access.ServicePrincipal, bool) {
	p, ok := d[strings.ToLower(id)]
	return p, ok
}

var signingKey = sync.OnceValue(func() []byte {
	k, err := access.NewSigningKey()
	if err != nil {
		panic(err)
	}
	return k
})

// world is a handler with one principal.
type world struct {
	handler *Handler
	tokens  *access.Tokens
	dir     directory
	app     access.ServicePrincipal
	secret  string
	log     *bytes.Buffer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	tokens, err := access.NewTokens([][]byte{signingKey()}, access.TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	app := access.NewServicePrincipal(tenant, "acme", now)
	secret, stored := access.NewSecret("", now, now.AddDate(1, 0, 0))
	app.Secrets = []access.Secret{stored}
	wd := &world{tokens: tokens, app: app, secret: secret, dir: directory{app.AppID: app}, log: &bytes.Buffer{}}
	wd.handler = &Handler{
		Tokens: tokens, Directory: wd.dir, Tenant: tenant, Audiences: []string{"https://public.example"},
		BaseURL: func(r *http.Request) (string, error) {
			if strings.HasPrefix(r.Host, "evil") {
				return "", errors.New("unknown host")
			}
			return "https://" + r.Host, nil
		},
		Logger: slog.New(slog.NewTextHandler(wd.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return wd
}

func (wd *world) do(method, target string, form url.Values) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
	}
	rec := httptest.NewRecorder()
	wd.handler.ServeHTTP(rec, r)
	return rec
}

func TestOpenIDDocuments(t *testing.T) {
	wd := newWorld(t)
	const base = "https://127.0.0.1:8443"
	tests := []struct{ path, prefix, version string }{
		{"/adfs/.well-known/openid-configuration", "/adfs", ""},
		{"/ADFS/.well-known/openid-configuration", "/ADFS", ""},
		{"//adfs//.well-known/openid-configuration", "/adfs", ""},
		{"/adfs/" + tenant + "/.well-known/openid-configuration", "/adfs/" + tenant, ""},
		{"/adfs/north/" + tenant + "/.well-known/openid-configuration", "/adfs/north/" + tenant, ""},
		{"/adfs/contoso.example/.well-known/openid-configuration", "/adfs/contoso.example", ""},
		{"/adfs/v2.0/.well-known/openid-configuration", "/adfs", "/v2.0"},
		{"/" + tenant + "/v2.0/.well-known/openid-configuration?", "/" + tenant, "/v2.0"},
		{"/" + strings.ToUpper(tenant) + "/V2.0/.well-known/openid-configuration", "/" + strings.ToUpper(tenant), "/v2.0"},
		{"/" + tenant + "/.well-known/openid-configuration", "/" + tenant, ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			rec := wd.do(http.MethodGet, base+tt.path, nil)
			var got map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusOK {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			want := map[string]any{
				"issuer":                 base + "/" + tenant + "/v2.0",
				"authorization_endpoint": base + tt.prefix + "/oauth2" + tt.version + "/authorize",
				"token_endpoint":         base + tt.prefix + "/oauth2" + tt.version + "/token",
				"jwks_uri":               base + tt.prefix + "/discovery" + tt.version + "/keys",
			}
			for k, v := range want {
				if got[k] != v {
					t.Errorf("%s is %v, want %v", k, got[k], v)
				}
			}
			// What the document names has to be there.
			for _, k := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "device_authorization_endpoint"} {
				u, err := url.Parse(got[k].(string))
				if err != nil || !wd.handler.Match(u.Path) {
					t.Errorf("%s leads nowhere: %v", k, got[k])
				}
			}
			keys := wd.do(http.MethodGet, got["jwks_uri"].(string), nil)
			if keys.Code != http.StatusOK || !bytes.Equal(keys.Body.Bytes(), wd.tokens.JWKS()) {
				t.Errorf("key set: %d %s", keys.Code, keys.Body)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	h := &Handler{}
	for _, p := range []string{
		"/", "", "/adfs", "/subscriptions/" + tenant, "/orders.westeurope-1/api/events", "/metadata/endpoints",
		"/graph/v1.0/applications", "/" + tenant, "/oauth2/token", "/a/b/c/d/oauth2/token", "/t/x/oauth2/token",
		"/providers/Microsoft.EventGrid/operations", "/common/discovery", "/healthz",
	} {
		if h.Match(p) {
			t.Errorf("Match(%q)", p)
		}
	}
	for _, p := range []string{
		"/adfs/oauth2/token", "/" + tenant + "/oauth2/v2.0/token", "/other/oauth2/token",
		"/common/discovery/instance", "/adfs/x/oauth2/token", "/adfs/discovery/keys",
	} {
		if !h.Match(p) {
			t.Errorf("not Match(%q)", p)
		}
	}
}

func TestInstanceDiscovery(t *testing.T) {
	wd := newWorld(t)
	rec := wd.do(http.MethodGet, "https://h:8443/common/discovery/instance?api-version=1.1&authorization_endpoint=x", nil)
	var got struct {
		Endpoint string `json:"tenant_discovery_endpoint"`
		Metadata []struct {
			Aliases []string `json:"aliases"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Endpoint != "https://h:8443/"+tenant+"/v2.0/.well-known/openid-configuration" ||
		len(got.Metadata) != 1 || !cmp.Equal(got.Metadata[0].Aliases, []string{"h:8443"}) {
		t.Errorf("got %s", rec.Body)
	}
}

func TestToken(t *testing.T) {
	wd := newWorld(t)
	const base = "https://127.0.0.1:8443"
	good := func() url.Values {
		return url.Values{
			"grant_type": {"client_credentials"}, "client_id": {wd.app.AppID}, "client_secret": {wd.secret},
		}
	}
	scopes := []struct{ scope, audience string }{
		{"https://management.azure.com//.default", access.AudienceManagement},
		{"https://management.azure.com/.default", access.AudienceManagement},
		{"https://management.core.windows.net//.default", access.AudienceManagementClassic},
		{base + "//.default", base},
		{base + "/.default", base},
		{"https://public.example/.default", "https://public.example"},
		{"https://eventgrid.azure.net/.default openid offline_access profile", access.AudienceEventGrid},
		{"openid offline_access profile https://eventgrid.azure.net/.default", access.AudienceEventGrid},
		{base + "/graph//.default", base + "/graph"},
	}
	paths := []string{"/adfs/oauth2/token", "/adfs/oauth2/v2.0/token", "/" + tenant + "/oauth2/v2.0/token", "/" + tenant + "/oauth2/token?client-request-id=x"}
	for _, sc := range scopes {
		for _, p := range paths {
			form := good()
			form.Set("scope", sc.scope)
			form.Set("claims", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`)
			rec := wd.do(http.MethodPost, base+p, form)
			var got tokenBody
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusOK {
				t.Fatalf("%s at %s: %d %s", sc.scope, p, rec.Code, rec.Body)
			}
			if got.TokenType != "Bearer" || got.ExpiresIn != 3600 || got.ExtExpiresIn != 3600 ||
				rec.Header().Get("Cache-Control") != "no-store, no-cache" {
				t.Errorf("answer %+v with headers %v", got, rec.Header())
			}
			c, err := wd.tokens.Verify(got.AccessToken, []string{sc.audience})
			if err != nil {
				t.Errorf("%s: %v", sc.scope, err)
			}
			want := access.Subject{ObjectID: wd.app.ObjectID, AppID: wd.app.AppID, Tenant: tenant, Name: "acme"}
			if c.Subject != want || c.Issuer != base+"/"+tenant+"/v2.0" {
				t.Errorf("claims %+v", c)
			}
		}
	}

	form := good()
	form.Set("resource", "https://management.azure.com/")
	rec := wd.do(http.MethodPost, base+"/"+tenant+"/oauth2/token", form)
	var v1 map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &v1); err != nil {
		t.Fatalf("%v: %s", err, rec.Body)
	}
	if v1["resource"] != "https://management.azure.com/" || v1["expires_in"] != "3600" || v1["expires_on"] == "" {
		t.Errorf("answer of version 1: %v", v1)
	}
	if _, err := wd.tokens.Verify(v1["access_token"], access.ManagementAudiences()); err != nil {
		t.Error(err)
	}
	if strings.Contains(wd.log.String(), wd.secret) || strings.Contains(wd.log.String(), v1["access_token"]) {
		t.Error("secret or token in the log")
	}
}

func TestTokenRefusals(t *testing.T) {
	wd := newWorld(t)
	pending := access.NewServicePrincipal(tenant, "pending", time.Now())
	pending.Pending = true
	pending.Secrets = wd.app.Secrets
	wd.dir[pending.AppID] = pending
	old := access.NewServicePrincipal(tenant, "old", time.Now())
	oldSecret, stored := access.NewSecret("", time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0))
	old.Secrets = []access.Secret{stored}
	wd.dir[old.AppID] = old
	foreign := access.NewServicePrincipal("44444444-0000-4000-8000-000000000000", "foreign", time.Now())
	foreign.Secrets = wd.app.Secrets
	wd.dir[foreign.AppID] = foreign

	tests := []struct {
		name, path string
		change     func(url.Values)
		status     int
		oauth      string
		code       int
	}{
		{"wrong secret", "", func(v url.Values) { v.Set("client_secret", "wrong-secret-value") }, 401, "invalid_client", 7000215},
		{"expired secret", "", func(v url.Values) {
			v.Set("client_id", old.AppID)
			v.Set("client_secret", oldSecret)
		}, 401, "invalid_client", 7000222},
		{"no secret", "", func(v url.Values) { v.Del("client_secret") }, 401, "invalid_client", 7000216},
		{"unknown app", "", func(v url.Values) { v.Set("client_id", "00000000-0000-4000-8000-000000000000") }, 401, "unauthorized_client", 700016},
		{"pending app", "", func(v url.Values) { v.Set("client_id", pending.AppID) }, 401, "unauthorized_client", 700016},
		{"app of another tenant", "", func(v url.Values) { v.Set("client_id", foreign.AppID) }, 401, "unauthorized_client", 700016},
		{"no client id", "", func(v url.Values) { v.Del("client_id") }, 400, "invalid_request", 900144},
		{"no grant", "", func(v url.Values) { v.Del("grant_type") }, 400, "invalid_request", 900144},
		{"password grant", "", func(v url.Values) { v.Set("grant_type", "password") }, 400, "unsupported_grant_type", 70003},
		{"no scope", "", func(v url.Values) { v.Del("scope") }, 400, "invalid_request", 900144},
		{"only OpenID scopes", "", func(v url.Values) { v.Set("scope", "openid profile") }, 400, "invalid_request", 900144},
		{"scope without default", "", func(v url.Values) { v.Set("scope", "https://management.azure.com/user") }, 400, "invalid_scope", 1002012},
		{"unknown audience", "", func(v url.Values) { v.Set("scope", "https://vault.azure.net/.default") }, 400, "invalid_resource", 500011},
		{"unknown resource", "", func(v url.Values) { v.Set("resource", "https://vault.azure.net") }, 400, "invalid_resource", 500011},
		{"graph of another host", "", func(v url.Values) { v.Set("scope", "https://other/graph/.default") }, 400, "invalid_resource", 500011},
		{"assertion without type", "", func(v url.Values) { v.Set("client_assertion", "x") }, 400, "invalid_request", 900144},
		{"assertion is garbage", "", func(v url.Values) {
			v.Set("client_assertion", "x")
			v.Set("client_assertion_type", assertionType)
		}, 401, "invalid_client", 50027},
		{"other tenant", "/44444444-0000-4000-8000-000000000000/oauth2/v2.0/token", nil, 400, "invalid_request", 90002},
		{"tenant by name", "/contoso.example/oauth2/v2.0/token", nil, 400, "invalid_request", 90002},
		{"other tenant behind adfs", "/adfs/44444444-0000-4000-8000-000000000000/oauth2/token", nil, 400, "invalid_request", 90002},
		{"huge form", "", func(v url.Values) { v.Set("client_assertion", strings.Repeat("x", 200<<10)) }, 400, "invalid_request", 90023},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wd.log.Reset()
			form := url.Values{
				"grant_type": {"client_credentials"}, "client_id": {wd.app.AppID}, "client_secret": {wd.secret},
				"scope": {"https://management.azure.com/.default"},
			}
			if tt.change != nil {
				tt.change(form)
			}
			path := tt.path
			if path == "" {
				path = "/adfs/oauth2/token"
			}
			rec := wd.do(http.MethodPost, "https://127.0.0.1:8443"+path, form)
			var got errorBody
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, rec.Body)
			}
			if rec.Code != tt.status || got.Error != tt.oauth || !cmp.Equal(got.Codes, []int{tt.code}) ||
				!strings.HasPrefix(got.Description, fmt.Sprintf("AADSTS%d: ", tt.code)) ||
				got.Timestamp == "" || got.TraceID == "" || got.CorrelationID == "" {
				t.Errorf("got %d %s", rec.Code, rec.Body)
			}
			log := wd.log.String()
			wd.log.Reset()
			wd.handler.refusals = access.Throttle{}
			if !strings.Contains(log, "sign-in refused") || !strings.Contains(log, "192.0.2.1:1234") {
				t.Errorf("log: %s", log)
			}
			for _, text := range []string{log, rec.Body.String()} {
				if strings.Contains(text, wd.secret) || strings.Contains(text, "wrong-secret-value") {
					t.Errorf("secret shown: %s", text)
				}
			}
		})
	}
}

// A secret in the field of the client id is a likely mistake, and must not end
// in the log either.
func TestLogOfSwappedFields(t *testing.T) {
	wd := newWorld(t)
	wd.do(http.MethodPost, "https://h/adfs/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {wd.secret}, "client_secret": {wd.app.AppID},
		"scope": {"https://management.azure.com/.default"},
	})
	if log := wd.log.String(); strings.Contains(log, wd.secret) || !strings.Contains(log, "sign-in refused") {
		t.Errorf("log: %s", log)
	}
}

// A guesser leaves a trace, but no more than a few lines of it.
func TestLogOfGuesser(t *testing.T) {
	wd := newWorld(t)
	for range 200 {
		wd.do(http.MethodPost, "https://h/adfs/oauth2/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {wd.app.AppID}, "client_secret": {"guess"},
			"scope": {"https://management.azure.com/.default"},
		})
	}
	log := wd.log.String()
	if n := strings.Count(log, "sign-in refused"); n < 1 || n > 10 {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{"code=7000215", "reason=invalid_client", "client_id=" + wd.app.AppID, "address=192.0.2.1"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log: %.300s", want, log)
		}
	}
}

func TestOddRequests(t *testing.T) {
	wd := newWorld(t)
	creds := url.Values{"grant_type": {"client_credentials"}, "client_id": {wd.app.AppID}, "client_secret": {wd.secret}, "scope": {"https://management.azure.com/.default"}}
	tests := []struct {
		name, method, target string
		form                 url.Values
		want                 int
	}{
		{"get token", http.MethodGet, "https://h/adfs/oauth2/token", nil, http.StatusMethodNotAllowed},
		{"post document", http.MethodPost, "https://h/adfs/.well-known/openid-configuration", creds, http.StatusMethodNotAllowed},
		{"head document", http.MethodHead, "https://h/adfs/.well-known/openid-configuration", nil, http.StatusOK},
		{"unknown host", http.MethodGet, "https://evil/adfs/.well-known/openid-configuration", nil, http.StatusBadRequest},
		{"credentials in the query", http.MethodPost, "https://h/adfs/oauth2/token?" + creds.Encode(), url.Values{}, http.StatusBadRequest},
		{"no form", http.MethodPost, "https://h/adfs/oauth2/token", nil, http.StatusBadRequest},
		{"browser", http.MethodGet, "https://h/adfs/oauth2/authorize?client_id=x", nil, http.StatusBadRequest},
		{"device code", http.MethodPost, "https://h/adfs/oauth2/devicecode", url.Values{"client_id": {"x"}}, http.StatusBadRequest},
		{"elsewhere", http.MethodGet, "https://h/elsewhere", nil, http.StatusNotFound},
	}
	for _, tt := range tests {
		if rec := wd.do(tt.method, tt.target, tt.form); rec.Code != tt.want {
			t.Errorf("%s: got %d %s", tt.name, rec.Code, rec.Body)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	f.Add("/adfs/oauth2/token")
	f.Add("/" + tenant + "/v2.0/.well-known/openid-configuration")
	f.Add("/v2.0/v2.0/.well-known/openid-configuration")
	f.Add("//")
	f.Fuzz(func(t *testing.T, path string) {
		rt, ok := parseRoute(path)
		if !ok || rt.page == pageInstance {
			return
		}
		if rt.page == pageNone || len(rt.authority) == 0 || len(rt.authority) > maxAuthorityPath {
			t.Fatalf("%q: %+v", path, rt)
		}
		if !rt.isADFS() && (len(rt.authority) != 1 || rt.tenant() == "") {
			t.Fatalf("%q has no tenant to check: %+v", path, rt)
		}
	})
}
