package armclient_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/armclient"
	"github.com/intertie/intertie/armclient/armfake"
)

const topicID = "/subscriptions/s1/resourceGroups/g/providers/Microsoft.EventGrid/topics/t"

func TestTokenIsFetchedOnceAndRenewedWhenRefused(t *testing.T) {
	s := armfake.Start(t)
	c := s.Client(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := c.Subscriptions(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := count(s.Calls(), "POST /adfs/oauth2/token"); n != 1 {
		t.Errorf("%d sign-ins for 8 calls, want 1", n)
	}
	s.Revoke()
	if _, err := c.Subscriptions(t.Context()); err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
	if n := count(s.Calls(), "POST /adfs/oauth2/token"); n != 2 {
		t.Errorf("%d sign-ins, want 2", n)
	}
}

func TestWrongSecret(t *testing.T) {
	s := armfake.Start(t)
	creds := s.Credentials()
	creds.ClientSecret = "wrong"
	c, err := armclient.New(creds)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Subscriptions(t.Context())
	var refused *armclient.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no *Error", err)
	}
	if refused.Code != "invalid_client" || refused.Message != "AADSTS7000215: the secret is wrong" {
		t.Errorf("error %+v", refused)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is more than one line: %q", err)
	}
}

func TestTokenEndpointElsewhereIsRefused(t *testing.T) {
	elsewhere := http.NewServeMux()
	elsewhere.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		armfake.Answer(w, 200, map[string]any{"token_endpoint": "https://evil.example/token"})
	})
	srv := newServer(t, elsewhere)
	c, err := armclient.New(armclient.Credentials{BaseURL: srv, Tenant: "adfs", ClientID: "i", ClientSecret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), topicID, "1", nil); err == nil || !strings.Contains(err.Error(), "is not on "+srv) {
		t.Errorf("error %v", err)
	}
}

func TestErrorNamesCodeMessageAndCall(t *testing.T) {
	s := armfake.Start(t)
	err := s.Client(t).Get(t.Context(), topicID, armclient.VersionEventGrid, nil)
	var refused *armclient.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no *Error", err)
	}
	want := &armclient.Error{
		Status: 404, Code: "ResourceNotFound", Message: "there is no " + topicID, Call: "GET " + topicID,
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
}

func TestUnreachableServerIsOneClearLine(t *testing.T) {
	creds := armfake.Start(t).Credentials()
	creds.BaseURL = "https://127.0.0.1:1"
	c, err := armclient.New(creds)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Get(t.Context(), topicID, "1", nil)
	if err == nil || !strings.Contains(err.Error(), "cannot reach https://127.0.0.1:1") {
		t.Errorf("error %v", err)
	}
}

func TestProviderIsRegisteredWhenTheServerAsks(t *testing.T) {
	s := armfake.Start(t)
	var registered atomic.Bool
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/subscriptions/s1/providers/Microsoft.EventGrid/register" {
			registered.Store(true)
			return false
		}
		if r.Method == http.MethodPut && !registered.Load() {
			armfake.Refuse(w, http.StatusConflict, "MissingSubscriptionRegistration", "register first")
			return true
		}
		return false
	}
	if err := s.Client(t).Put(t.Context(), topicID, armclient.VersionEventGrid, map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	if s.Resource(topicID) == nil {
		t.Error("the topic was not written after registration")
	}
}

func TestBusyServerIsAskedAgain(t *testing.T) {
	s := armfake.Start(t)
	var asked atomic.Int32
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if asked.Add(1) < 3 {
			w.Header().Set("Retry-After", "0")
			armfake.Refuse(w, http.StatusTooManyRequests, "TooManyRequests", "later")
			return true
		}
		return false
	}
	if _, err := s.Client(t).Subscriptions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
	asked.Store(-1000)
	_, err := s.Client(t).Subscriptions(t.Context())
	var refused *armclient.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
		t.Errorf("a server that stays busy: %v", err)
	}
	if n := asked.Load(); n != -996 {
		t.Errorf("asked %d times, want 4", n+1000)
	}
}

func TestPutFollowsTheOperation(t *testing.T) {
	for _, tt := range []struct {
		name, status, wantCode string
	}{
		{name: "succeeded", status: "Succeeded"},
		{name: "failed", status: "Failed", wantCode: "Url validation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := armfake.Start(t)
			var polls atomic.Int32
			s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodPut:
					w.Header().Set("Azure-AsyncOperation", s.URL()+"/operations/1?api-version=1")
					w.Header().Set("Retry-After", "0")
					armfake.Answer(w, 201, map[string]any{"properties": map[string]any{"provisioningState": "Creating"}})
				case r.URL.Path == "/operations/1" && polls.Add(1) == 1:
					armfake.Answer(w, 200, map[string]any{"status": "InProgress"})
				case r.URL.Path == "/operations/1":
					armfake.Answer(w, 200, map[string]any{"status": tt.status, "error": map[string]any{
						"code": "ResourceOperationFailure", "message": "it failed",
						"details": []any{map[string]any{"code": "Url validation", "message": "no answer"}},
					}})
				default:
					armfake.Answer(w, 200, map[string]any{"name": "t", "properties": map[string]any{"provisioningState": "Succeeded"}})
				}
				return true
			}
			var out struct{ Name string }
			err := s.Client(t).Put(t.Context(), topicID, "1", map[string]any{}, &out)
			if polls.Load() != 2 {
				t.Errorf("%d polls, want 2", polls.Load())
			}
			var refused *armclient.Error
			switch {
			case tt.wantCode == "" && (err != nil || out.Name != "t"):
				t.Errorf("got %+v, %v", out, err)
			case tt.wantCode != "" && (!errors.As(err, &refused) || refused.Code != tt.wantCode):
				t.Errorf("error %v, want code %s", err, tt.wantCode)
			}
		})
	}
}

func TestTokenStaysOnTheServer(t *testing.T) {
	s := armfake.Start(t)
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		armfake.Answer(w, 200, map[string]any{"nextLink": "https://evil.example/subscriptions?api-version=1"})
		return true
	}
	if _, err := s.Client(t).Subscriptions(t.Context()); err == nil || !strings.Contains(err.Error(), "https://evil.example") {
		t.Errorf("error %v", err)
	}
}

func TestContextEndsTheWait(t *testing.T) {
	s := armfake.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		cancel()
		w.Header().Set("Retry-After", "30")
		armfake.Refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "draining")
		return true
	}
	if _, err := s.Client(t).Subscriptions(ctx); err == nil {
		t.Error("no error")
	}
}

func TestCreatePrincipal(t *testing.T) {
	s := armfake.Start(t)
	p, err := s.Client(t).CreatePrincipal(t.Context(), "erp", "Contributor", "/subscriptions/s1/")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(armclient.Principal{Name: "erp", AppID: "app-1", ObjectID: "sp-2", Secret: armfake.Secret}, p); diff != "" {
		t.Error(diff)
	}
	ids := s.Resources("/subscriptions/s1/providers/microsoft.authorization/roleassignments/")
	if len(ids) != 1 {
		t.Fatalf("role assignments %v, want one", ids)
	}
	properties := s.Resource(ids[0])["properties"].(map[string]any)
	if properties["roleDefinitionId"] != "/roles/roleName eq 'Contributor'" || properties["principalId"] != "sp-2" {
		t.Errorf("assignment %v", properties)
	}
}

func TestUnknownRoleLeavesNothingBehind(t *testing.T) {
	s := armfake.Start(t)
	_, err := s.Client(t).CreatePrincipal(t.Context(), "erp", "Nobody", "/subscriptions/s1")
	if err == nil || !strings.Contains(err.Error(), `no role "Nobody"`) {
		t.Errorf("error %v", err)
	}
	if calls := s.Calls(); slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "/graph/") }) {
		t.Errorf("the directory was touched: %v", calls)
	}
}

func count(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
