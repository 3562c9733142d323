package graph

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
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

const (
	tenant = "33333333-aaaa-4bbb-8ccc-000000000003"
	base   = "https://127.0.0.1:8443"
	owner  = "44444444-aaaa-4bbb-8ccc-000000000001"
	reader = "44444444-aaaa-4bbb-8ccc-000000000002"
	tamed  = "44444444-aaaa-4bbb-8ccc-000000000003" // Owner of one subscription
	contr  = "44444444-aaaa-4bbb-8ccc-000000000004" // Contributor of everything
)

// memory is a directory that keeps its contract, revisions included.
type memory struct {
	mu     sync.Mutex // protects the fields below
	byApp  map[string]access.ServicePrincipal
	broken error // answer to List and Put
	// beforePut runs once, ahead of the next Put: a rival node.
	beforePut func()
}

func (m *memory) List(context.Context) ([]access.ServicePrincipal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []access.ServicePrincipal
	for _, p := range m.byApp {
		out = append(out, p.Clone())
	}
	return out, m.broken
}

func (m *memory) ByAppID(id string) (access.ServicePrincipal, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.byApp[strings.ToLower(id)]
	return p.Clone(), ok
}

func (m *memory) ByObjectID(id string) (access.ServicePrincipal, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.byApp {
		if strings.EqualFold(p.ObjectID, id) {
			return p.Clone(), true
		}
	}
	return access.ServicePrincipal{}, false
}

func (m *memory) Put(_ context.Context, p access.ServicePrincipal) error {
	if f := m.beforePut; f != nil {
		m.beforePut = nil
		f()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if m.byApp[p.AppID].Revision != p.Revision {
		return access.ErrConflict
	}
	p.Revision++
	m.byApp[p.AppID] = p.Clone()
	return nil
}

// tokens takes "OID" and "OID@audience" for tokens.
type tokens struct{}

func (tokens) Verify(token string, audiences []string) (access.Claims, error) {
	oid, aud, ok := strings.Cut(token, "@")
	if !ok {
		aud = base + "/graph"
	}
	switch aud {
	case "expired":
		return access.Claims{}, fmt.Errorf("%w: x", access.ErrTokenExpired)
	case "malformed":
		return access.Claims{}, access.ErrTokenMalformed
	}
	for _, a := range audiences {
		if access.SameAudience(a, aud) {
			return access.Claims{Subject: access.Subject{ObjectID: oid}}, nil
		}
	}
	return access.Claims{}, access.ErrTokenAudience
}

func (m *memory) Remove(_ context.Context, p access.ServicePrincipal, instead *access.ServicePrincipal) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byApp[p.AppID].Revision != p.Revision {
		return access.ErrConflict
	}
	delete(m.byApp, p.AppID)
	if instead != nil {
		next := instead.Clone()
		next.Revision++
		m.byApp[next.AppID] = next
	}
	return m.broken
}

type world struct {
	h   *Handler
	dir *memory
	log *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var authz access.Authorizer
	authz.Set([]access.Assignment{
		{Scope: "/", RoleID: access.RoleOwner, PrincipalID: owner},
		{Scope: "/", RoleID: access.RoleReader, PrincipalID: reader},
		{Scope: "/", RoleID: access.RoleContributor, PrincipalID: contr},
		{Scope: "/subscriptions/s1", RoleID: access.RoleOwner, PrincipalID: tamed},
	}, nil)
	w := &world{dir: &memory{byApp: map[string]access.ServicePrincipal{}}, log: &bytes.Buffer{}}
	w.h = &Handler{
		Tokens: tokens{}, Authorizer: &authz, Directory: w.dir, Tenant: tenant,
		BaseURL: func(r *http.Request) (string, error) {
			if r.Host == "evil" {
				return "", errors.New("unknown host")
			}
			return "https://" + r.Host, nil
		},
		Now:    func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) },
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

func (w *world) do(as, method, path, body string) *httptest.ResponseRecorder {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	if !strings.HasPrefix(path, "http") {
		path = base + "/graph/v1.0/" + path
	}
	r := httptest.NewRequest(method, path, rd)
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

// must fails the test unless the answer has the status, and decodes it.
func must[T any](t *testing.T, rec *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if rec.Code != status {
		t.Fatalf("got %d, want %d: %s", rec.Code, status, rec.Body)
	}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
			t.Fatalf("%v: %s", err, rec.Body)
		}
	}
	return v
}

func (w *world) createApp(t *testing.T, name string) application {
	t.Helper()
	return must[application](t, w.do(owner, "POST", "applications", `{"displayName":"`+name+`","web":{"x":1}}`), http.StatusCreated)
}

// TestCreatePrincipal goes the way of `az ad sp create-for-rbac`.
func TestCreatePrincipal(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	if app.ID == "" || app.AppID == "" || app.ID == app.AppID || app.DisplayName != "acme" {
		t.Fatalf("application %+v", app)
	}
	filter := "servicePrincipals?$filter=" + url.QueryEscape("servicePrincipalNames/any(c:c eq '"+app.AppID+"')")
	if got := must[list[servicePrincipal]](t, w.do(owner, "GET", filter, ""), 200); len(got.Value) != 0 {
		t.Errorf("a pending principal is listed: %+v", got)
	}

	sp := must[servicePrincipal](t, w.do(owner, "POST", "servicePrincipals", `{"appId":"`+app.AppID+`","accountEnabled":"True"}`), http.StatusCreated)
	if sp.ID == "" || sp.ID == app.ID || sp.AppID != app.AppID || sp.Type != "Application" || sp.DisplayName != "acme" {
		t.Errorf("service principal %+v", sp)
	}
	again := w.do(owner, "POST", "servicePrincipals", `{"appId":"`+app.AppID+`"}`)
	wantError(t, again, http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue")

	pw := must[passwordCredential](t, w.do(owner, "POST", "applications/"+app.ID+"/addPassword",
		`{"passwordCredential":{"displayName":"rbac","endDateTime":"2027-03-01T08:00:00Z"}}`), http.StatusOK)
	if pw.SecretText == nil || pw.KeyID == "" || *pw.Start != "2026-03-01T08:00:00Z" || *pw.End != "2027-03-01T08:00:00Z" {
		t.Fatalf("password %+v", pw)
	}
	stored, ok := w.dir.ByAppID(app.AppID)
	if !ok || stored.Pending || stored.ObjectID != sp.ID || stored.Tenant != tenant {
		t.Fatalf("stored %+v", stored)
	}
	if err := stored.VerifySecret(*pw.SecretText, w.h.Now()); err != nil {
		t.Errorf("the secret does not work: %v", err)
	}

	// Every way to find it, and none shows the secret.
	for _, path := range []string{
		filter,
		"servicePrincipals?$filter=" + url.QueryEscape("appId eq '"+strings.ToUpper(app.AppID)+"'"),
		"servicePrincipals?$filter=" + url.QueryEscape("startswith(displayName,'AC')"),
		"servicePrincipals?$filter=" + url.QueryEscape("displayName eq 'acme'"),
		"servicePrincipals?$select=id",
		"servicePrincipals",
	} {
		got := must[list[servicePrincipal]](t, w.do(reader, "GET", path, ""), 200)
		if len(got.Value) != 1 || got.Value[0].ID != sp.ID || len(got.Value[0].Passwords) != 1 || got.Value[0].Passwords[0].SecretText != nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for _, path := range []string{"servicePrincipals/" + sp.ID, "servicePrincipals(appId='" + app.AppID + "')", "//serviceprincipals//" + sp.ID} {
		if got := must[servicePrincipal](t, w.do(reader, "GET", path, ""), 200); got.ID != sp.ID {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for _, path := range []string{"applications/" + app.ID, "applications(appId='" + app.AppID + "')"} {
		if got := must[application](t, w.do(reader, "GET", path, ""), 200); got.ID != app.ID {
			t.Errorf("%s: %+v", path, got)
		}
	}
	apps := must[list[application]](t, w.do(reader, "GET", "applications?$filter="+url.QueryEscape("appId eq '"+app.AppID+"'"), ""), 200)
	if len(apps.Value) != 1 || apps.Value[0].ID != app.ID {
		t.Errorf("applications: %+v", apps)
	}
	none := must[list[application]](t, w.do(reader, "GET", "applications?$filter="+url.QueryEscape("displayName eq 'a''b'"), ""), 200)
	if len(none.Value) != 0 {
		t.Errorf("found %+v", none)
	}

	// Secrets can be taken back.
	must[struct{}](t, w.do(owner, "POST", "servicePrincipals/"+sp.ID+"/removePassword", `{"keyId":"`+pw.KeyID+`"}`), http.StatusNoContent)
	stored, _ = w.dir.ByAppID(app.AppID)
	if err := stored.VerifySecret(*pw.SecretText, w.h.Now()); !errors.Is(err, access.ErrSecretWrong) {
		t.Errorf("a removed secret: %v", err)
	}
	if strings.Contains(w.log.String(), *pw.SecretText) || !strings.Contains(w.log.String(), "secret added") {
		t.Errorf("log: %s", w.log)
	}
}

func TestGetByIDs(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	sp := must[servicePrincipal](t, w.do(owner, "POST", "servicePrincipals", `{"appId":"`+app.AppID+`"}`), 201)
	pending := w.createApp(t, "pending")
	p, _ := w.dir.ByAppID(pending.AppID)
	tests := []struct {
		name, body string
		want       []string
	}{
		{"as az asks", `{"ids":["` + sp.ID + `","00000000-0000-4000-8000-000000000000"],"types":["user","group","servicePrincipal","directoryObjectPartnerReference"]}`, []string{typePrincipal + " " + sp.ID}},
		{"any type", `{"ids":["` + sp.ID + `","` + app.ID + `"]}`, []string{typePrincipal + " " + sp.ID, typeApplication + " " + app.ID}},
		{"users only", `{"ids":["` + sp.ID + `"],"types":["user"]}`, nil},
		{"pending principal", `{"ids":["` + p.ObjectID + `"]}`, nil},
		{"none", `{"ids":[]}`, nil},
	}
	for _, tt := range tests {
		got := must[list[servicePrincipal]](t, w.do(reader, "POST", "directoryObjects/getByIds", tt.body), 200)
		var ids []string
		for _, v := range got.Value {
			ids = append(ids, v.ODataType+" "+v.ID)
		}
		if diff := cmp.Diff(tt.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	many := `{"ids":["` + strings.Repeat(`x","`, 1001) + `"]}`
	wantError(t, w.do(reader, "POST", "directoryObjects/getByIds", many), 400, "Request_BadRequest")
}

func wantError(t *testing.T, rec *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	b := must[errorBody](t, rec, status)
	if b.Error.Code != code || b.Error.Message == "" || b.Error.InnerError.RequestID == "" {
		t.Errorf("got %s, want code %s", rec.Body, code)
	}
}

func TestAuthorization(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	reads := [][3]string{
		{"GET", "applications", ""},
		{"GET", "applications/" + app.ID, ""},
		{"GET", "servicePrincipals", ""},
		{"POST", "directoryObjects/getByIds", `{"ids":[]}`},
	}
	writes := [][3]string{
		{"POST", "applications", `{"displayName":"x"}`},
		{"PATCH", "applications/" + app.ID, `{"displayName":"x"}`},
		{"POST", "servicePrincipals", `{"appId":"` + app.AppID + `"}`},
		{"POST", "applications/" + app.ID + "/addPassword", `{}`},
		{"POST", "applications/" + app.ID + "/removePassword", `{}`},
	}
	before, _ := w.dir.ByAppID(app.AppID)
	for _, op := range append(append([][3]string{}, reads...), writes...) {
		for _, who := range []string{tamed, "stranger"} {
			wantError(t, w.do(who, op[0], op[1], op[2]), http.StatusForbidden, "Authorization_RequestDenied")
		}
		for _, token := range []string{"", owner + "@https://eventgrid.azure.net", owner + "@https://other/graph", owner + "@expired", owner + "@malformed"} {
			rec := w.do(token, op[0], op[1], op[2])
			wantError(t, rec, http.StatusUnauthorized, "InvalidAuthenticationToken")
			if !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("no challenge: %v", rec.Header())
			}
		}
	}
	for _, op := range writes {
		for _, who := range []string{reader, contr} {
			wantError(t, w.do(who, op[0], op[1], op[2]), http.StatusForbidden, "Authorization_RequestDenied")
		}
	}
	if after, _ := w.dir.ByAppID(app.AppID); !cmp.Equal(before, after) || len(w.dir.byApp) != 1 {
		t.Error("a denied request changed something")
	}
	for _, op := range reads {
		for _, token := range []string{reader, owner, owner + "@https://management.azure.com/", owner + "@" + base} {
			if rec := w.do(token, op[0], op[1], op[2]); rec.Code != http.StatusOK {
				t.Errorf("%s may not %s %s: %s", token, op[0], op[1], rec.Body)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	p, _ := w.dir.ByAppID(app.AppID)
	tests := []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"no name", "POST", "applications", `{}`, 400, "Request_BadRequest"},
		{"long name", "POST", "applications", `{"displayName":"` + strings.Repeat("x", 300) + `"}`, 400, "Request_BadRequest"},
		{"no JSON", "POST", "applications", `{`, 400, "Request_BadRequest"},
		{"two values", "POST", "applications", `{"displayName":"a"}{}`, 400, "Request_BadRequest"},
		{"no body", "POST", "applications", ``, 400, "Request_BadRequest"},
		{"huge body", "POST", "applications", `{"displayName":"a","x":"` + strings.Repeat("x", 300<<10) + `"}`, 400, "Request_BadRequest"},
		{"unknown app", "POST", "servicePrincipals", `{"appId":"x"}`, 400, "Request_BadRequest"},
		{"no such application", "GET", "applications/x", ``, 404, "Request_ResourceNotFound"},
		{"no such principal", "GET", "servicePrincipals/x", ``, 404, "Request_ResourceNotFound"},
		{"pending principal", "GET", "servicePrincipals/" + p.ObjectID, ``, 404, "Request_ResourceNotFound"},
		{"pending principal by app", "GET", "servicePrincipals(appId='" + app.AppID + "')", ``, 404, "Request_ResourceNotFound"},
		{"password of nobody", "POST", "applications/x/addPassword", `{}`, 404, "Request_ResourceNotFound"},
		{"unknown key id", "POST", "applications/" + app.ID + "/removePassword", `{"keyId":"x"}`, 400, "Request_BadRequest"},
		{"end before start", "POST", "applications/" + app.ID + "/addPassword", `{"passwordCredential":{"endDateTime":"2020-01-01T00:00:00Z"}}`, 400, "Request_BadRequest"},
		{"unreadable end", "POST", "applications/" + app.ID + "/addPassword", `{"passwordCredential":{"endDateTime":"soon"}}`, 400, "Request_BadRequest"},
		{"unknown filter", "GET", "servicePrincipals?$filter=" + url.QueryEscape("tags/any(t:t eq 'x')"), ``, 400, "Request_UnsupportedQuery"},
		{"two conditions", "GET", "servicePrincipals?$filter=" + url.QueryEscape("appId eq 'x' or appId eq 'y'"), ``, 400, "Request_UnsupportedQuery"},
		{"a user", "GET", "users/x", ``, 404, "Request_ResourceNotFound"},
		{"new user", "POST", "users", `{}`, 404, "BadRequest"},
		{"deletion of nobody", "DELETE", "applications/x", ``, 404, "Request_ResourceNotFound"},
		{"deletion of a pending principal", "DELETE", "servicePrincipals/" + p.ObjectID, ``, 404, "Request_ResourceNotFound"},
		{"nothing of mine", "GET", "me/x", ``, 404, "BadRequest"},
		{"other organization", "GET", "organization/x", ``, 404, "Request_ResourceNotFound"},
		{"other version", "GET", base + "/graph/beta/applications", ``, 404, "BadRequest"},
		{"root", "GET", base + "/graph", ``, 404, "BadRequest"},
		{"other host", "GET", "https://evil/graph/v1.0/applications", ``, 400, "Request_BadRequest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, w.do(owner, tt.method, tt.path, tt.body), tt.status, tt.code)
		})
	}
}

func TestSecretsAreBounded(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	for range maxCredentials {
		pw := must[passwordCredential](t, w.do(owner, "POST", "applications/"+app.ID+"/addPassword", ""), 200)
		if *pw.End != "2028-03-01T08:00:00Z" {
			t.Fatalf("default end %s", *pw.End)
		}
	}
	wantError(t, w.do(owner, "POST", "applications/"+app.ID+"/addPassword", ""), 400, "Request_BadRequest")
}

func TestConcurrentSecrets(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	rivalSecret := ""
	w.dir.beforePut = func() {
		rival := must[passwordCredential](t, w.do(owner, "POST", "applications/"+app.ID+"/addPassword", ""), 200)
		rivalSecret = *rival.SecretText
	}
	mine := must[passwordCredential](t, w.do(owner, "POST", "applications/"+app.ID+"/addPassword", ""), 200)
	p, _ := w.dir.ByAppID(app.AppID)
	for _, s := range []string{*mine.SecretText, rivalSecret} {
		if err := p.VerifySecret(s, w.h.Now()); err != nil {
			t.Errorf("a secret got lost: %v", err)
		}
	}
}

func TestStorageFailure(t *testing.T) {
	w := newWorld(t)
	app := w.createApp(t, "acme")
	w.dir.broken = errors.New("disk on fire")
	for _, op := range [][3]string{
		{"POST", "applications", `{"displayName":"x"}`},
		{"GET", "applications/" + app.ID, ""},
		{"GET", "servicePrincipals", ""},
		{"POST", "servicePrincipals", `{"appId":"` + app.AppID + `"}`},
	} {
		rec := w.do(owner, op[0], op[1], op[2])
		wantError(t, rec, http.StatusInternalServerError, "Service_InternalServerError")
		if strings.Contains(rec.Body.String(), "fire") {
			t.Errorf("the client sees inside: %s", rec.Body)
		}
	}
	if !strings.Contains(w.log.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
}

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: w.h.Now(), NotAfter: w.h.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cred := `{"displayName":"c","type":"AsymmetricX509Cert","usage":"Verify","key":"` + base64.StdEncoding.EncodeToString(der) + `"}`
	app := must[application](t, w.do(owner, "POST", "applications", `{"displayName":"x","keyCredentials":[`+cred+`]}`), 201)
	if len(app.Keys) != 1 || app.Keys[0].Key != nil || *app.Keys[0].DisplayName != "c" {
		t.Fatalf("key credentials %+v", app.Keys)
	}
	kept := `{"keyId":"` + app.Keys[0].KeyID + `"}`
	// What is not named stays: a kept credential, and all of them in a rename.
	for _, body := range []string{`{"keyCredentials":[` + kept + `,` + cred + `]}`, `{"displayName":"y"}`} {
		must[struct{}](t, w.do(owner, "PATCH", "applications/"+app.ID, body), 204)
		p, _ := w.dir.ByAppID(app.AppID)
		if len(p.Certificates) != 2 || p.Certificates[0].KeyID != app.Keys[0].KeyID {
			t.Errorf("after %.40s…: %d certificates", body, len(p.Certificates))
		}
	}
	must[struct{}](t, w.do(owner, "PATCH", "applications/"+app.ID, `{"keyCredentials":[]}`), 204)
	if p, _ := w.dir.ByAppID(app.AppID); len(p.Certificates) != 0 {
		t.Error("certificates were not removed")
	}
	for _, bad := range []string{kept, `{"key":"!"}`, `{"key":"AAAA"}`} {
		wantError(t, w.do(owner, "PATCH", "applications/"+app.ID, `{"keyCredentials":[`+bad+`]}`), 400, "Request_BadRequest")
	}
}

func TestMatch(t *testing.T) {
	h := &Handler{}
	for path, want := range map[string]bool{
		"/graph/v1.0/applications": true, "/Graph": true, "//graph/v1.0": true,
		"/graphs": false, "/": false, "/x/graph": false,
	} {
		if h.Match(path) != want {
			t.Errorf("Match(%q) is not %v", path, want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("servicePrincipalNames/any(c:c eq 'x')")
	f.Add("startswith(displayName,'x')")
	f.Add("appId eq 'it''s'")
	f.Add("servicePrincipalNames/any(:")
	f.Add("displayName eq ' and ' and appId eq 'y' and ")
	f.Fuzz(func(t *testing.T, s string) {
		conditions, err := parseFilter(s)
		if err != nil {
			if p, ok := errors.AsType[*problem](err); !ok || p.status != http.StatusBadRequest {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if (len(conditions) == 0) != (strings.TrimSpace(s) == "") {
			t.Fatalf("%q was taken for %d conditions", s, len(conditions))
		}
		for _, c := range conditions {
			switch c.property {
			case "appid", "id", "displayname", "identifieruri":
			default:
				t.Fatalf("%q gave %+v", s, c)
			}
		}
	})
}
