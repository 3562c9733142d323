package armfake

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/intertie/intertie/armclient"
)

// Server is one fake. Its zero value is not ready; use [Start].
type Server struct {
	// Intercept, if set before the first request, sees every authorized
	// request first, and answers it if it returns true.
	Intercept func(w http.ResponseWriter, r *http.Request) bool

	http   *httptest.Server
	caFile string

	// mu protects the fields below.
	mu        sync.Mutex
	calls     []string
	issued    int
	valid     string
	resources map[string]map[string]any // by lower-case id
	created   int
}

// Secret is the client secret that signs in. Any client id will do.
const Secret = "fake-secret"

// Start runs a server over TLS until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{resources: map[string]map[string]any{}}
	s.http = httptest.NewTLSServer(s)
	t.Cleanup(s.http.Close)
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(s.caFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// URL is where the server listens.
func (s *Server) URL() string { return s.http.URL }

// Credentials are accepted by the server.
func (s *Server) Credentials() armclient.Credentials {
	return armclient.Credentials{
		BaseURL: s.http.URL, Tenant: "adfs", ClientID: "admin", ClientSecret: Secret,
		CAFile: s.caFile, Subscription: "sub-admin",
	}
}

// Client is a client with those credentials.
func (s *Server) Client(t testing.TB) *armclient.Client {
	t.Helper()
	c, err := armclient.New(s.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Calls returns "METHOD /path" of every request so far, sign-in included.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Revoke makes the tokens issued so far invalid.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = ""
}

// Resource returns what was put at id, or nil.
func (s *Server) Resource(id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resources[strings.ToLower(id)]
}

// Resources returns the ids, in lower case, that hold text.
func (s *Server) Resources(text string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.resources {
		if strings.Contains(id, strings.ToLower(text)) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		Answer(w, 200, map[string]any{"token_endpoint": s.http.URL + "/adfs/oauth2/token"})
	case r.URL.Path == "/adfs/oauth2/token":
		s.signIn(w, r)
	case s.Intercept != nil && s.authorized(r) && s.Intercept(w, r):
	case !s.authorized(r):
		Refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "the token is not valid")
	case strings.HasPrefix(r.URL.Path, "/graph/v1.0/"):
		s.directory(w, r)
	default:
		s.manage(w, r)
	}
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("client_secret") != Secret {
		Answer(w, http.StatusUnauthorized, map[string]any{
			"error": "invalid_client", "error_description": "AADSTS7000215: the secret\r\nis wrong",
		})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	if s.valid == "" {
		s.valid = fmt.Sprintf("token-%d", s.issued)
	}
	Answer(w, 200, map[string]any{"token_type": "Bearer", "expires_in": "3599", "access_token": s.valid})
}

// authorized lets publishing pass: that is the business of Intercept.
func (s *Server) authorized(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.Header.Get("Aeg-Sas-Key") != "" || s.valid != "" && r.Header.Get("Authorization") == "Bearer "+s.valid
}

func (s *Server) directory(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in map[string]any
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.created++
	switch path := strings.TrimPrefix(r.URL.Path, "/graph/v1.0"); {
	case r.Method == http.MethodPost && path == "/applications":
		Answer(w, 201, map[string]any{"id": fmt.Sprint("object-", s.created), "appId": fmt.Sprint("app-", s.created)})
	case r.Method == http.MethodPost && path == "/servicePrincipals":
		Answer(w, 201, map[string]any{"id": fmt.Sprint("sp-", s.created), "appId": in["appId"]})
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/addPassword"):
		Answer(w, 200, map[string]any{"secretText": Secret})
	case r.Method == http.MethodGet && path == "/servicePrincipals":
		Answer(w, 200, map[string]any{"value": []any{
			map[string]any{"id": "sp-0", "appId": "app-0", "displayName": "admin"},
		}})
	default:
		Refuse(w, http.StatusNotFound, "Request_ResourceNotFound", path)
	}
}

// manage is a management API whose every resource is finished at once.
func (s *Server) manage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.ToLower(r.URL.Path)
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case r.URL.Query().Get("api-version") == "":
		Refuse(w, http.StatusBadRequest, "MissingApiVersionParameter", "api-version is missing")
	case strings.HasSuffix(id, "/roledefinitions"):
		var value []any
		if role := r.URL.Query().Get("$filter"); role != "roleName eq 'Nobody'" {
			value = append(value, map[string]any{"id": "/roles/" + role})
		}
		Answer(w, 200, map[string]any{"value": value})
	case r.Method == http.MethodGet && id == "/subscriptions":
		Answer(w, 200, map[string]any{"value": []any{
			map[string]any{"subscriptionId": "sub-admin", "displayName": "Default", "state": "Enabled"},
		}})
	case r.Method == http.MethodPut:
		in, err := io.ReadAll(r.Body)
		body := map[string]any{}
		if err == nil {
			err = json.Unmarshal(in, &body)
		}
		if err != nil {
			Refuse(w, http.StatusBadRequest, "InvalidRequestContent", err.Error())
			return
		}
		s.created++
		Answer(w, 201, s.store(r.URL.Path, name, body))
	case r.Method == http.MethodGet && s.resources[id] != nil:
		Answer(w, 200, s.resources[id])
	case r.Method == http.MethodPost && strings.HasSuffix(id, "/register"):
		Answer(w, 200, map[string]any{"registrationState": "Registered"})
	case r.Method == http.MethodPost && strings.HasSuffix(id, "/listkeys"):
		Answer(w, 200, map[string]any{"key1": "key-one", "key2": "key-two"})
	case r.Method == http.MethodPost:
		Answer(w, 200, map[string]any{})
	default:
		Refuse(w, http.StatusNotFound, "ResourceNotFound", "there is no "+r.URL.Path)
	}
}

// store adds what the service would: ids, the partner's id, the endpoint.
func (s *Server) store(path, name string, body map[string]any) map[string]any {
	body["id"], body["name"] = path, name
	properties, _ := body["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
		body["properties"] = properties
	}
	properties["provisioningState"] = "Succeeded"
	properties["partnerRegistrationImmutableId"] = fmt.Sprint("partner-", s.created)
	properties["endpoint"] = s.http.URL + "/" + name + "/api/events"
	properties["subscriptionId"] = fmt.Sprint("sub-", s.created)
	s.resources[strings.ToLower(path)] = body
	return body
}

// Answer writes JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Refuse writes an error as Azure Resource Manager does.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	Answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}
