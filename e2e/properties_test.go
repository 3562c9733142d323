package e2e

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/eventgrid/armeventgrid/v2"
)

func staticProperty(name, value string, secret bool) armeventgrid.DeliveryAttributeMappingClassification {
	return &armeventgrid.StaticDeliveryAttributeMapping{
		Type: new(armeventgrid.DeliveryAttributeMappingTypeStatic), Name: &name,
		Properties: &armeventgrid.StaticDeliveryAttributeMappingProperties{Value: &value, IsSecret: &secret},
	}
}

func dynamicProperty(name, field string) armeventgrid.DeliveryAttributeMappingClassification {
	return &armeventgrid.DynamicDeliveryAttributeMapping{
		Type: new(armeventgrid.DeliveryAttributeMappingTypeDynamic), Name: &name,
		Properties: &armeventgrid.DynamicDeliveryAttributeMappingProperties{SourceField: &field},
	}
}

// TestDeliveryProperties has static, secret and dynamic properties arrive as
// headers, and looks for the secrets wherever they must not be.
func TestDeliveryProperties(t *testing.T) {
	t.Parallel()
	s := serve(t, "--log-level", "debug", "--retry-schedule", "200ms", "--dead-letter-delay", "300ms")
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	properties := []armeventgrid.DeliveryAttributeMappingClassification{
		staticProperty("X-Tenant", "shop 42", false), staticProperty("X-Key", "pr0perty-s3cret", true), staticProperty("Authorization", "Basic authorizati0n-s3cret", true),
		dynamicProperty("X-System", "data.system"), dynamicProperty("X-Total", "$.data.total"), dynamicProperty("X-Subject", "subject"), dynamicProperty("X-Object", "data.object"),
	}
	for path, schema := range map[string]armeventgrid.EventDeliverySchema{"/grid": asGrid, "/cloud": asCloud} {
		es := batched(webhookAs(hook.URL+path+"?code=ur1-s3cret", schema), 10)
		hookProperties(es).DeliveryAttributeMappings = properties
		d.subscribeAt(t, topic.id, strings.Trim(path, "/"), es)
	}
	failing := deadLettered(webhook(hook.URL+"/failing?code=ur1-s3cret"), d.account("dead"), "letters", 2)
	hookProperties(failing).DeliveryAttributeMappings = properties
	hook.answer("/failing", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "what was sent: "+r.URL.String()+" "+r.Header.Get("X-Key"), http.StatusInternalServerError)
	})
	d.subscribeAt(t, topic.id, "failing", failing)

	var events, ids []string
	for i := range 30 {
		id := fmt.Sprint("e", i)
		ids = append(ids, id)
		events = append(events, gridEvent(id, fmt.Sprintf(`{"system":"erp-%d","total":%d.5,"object":{}}`, i%3, i%2)))
	}
	topic.mustPublish(t, "["+strings.Join(events, ",")+"]", nil)
	for _, path := range []string{"/grid", "/cloud"} {
		until(t, 20*time.Second, "the events arrive", func() bool { return hook.hasAll(path, ids) })
		for _, got := range hook.deliveries(path) {
			var sent struct {
				System string
				Total  json.Number
			}
			if err := json.Unmarshal(got.data, &sent); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string][]string{
				"X-Tenant": {"shop 42"}, "X-Key": {"pr0perty-s3cret"}, "Authorization": {"Basic authorizati0n-s3cret"},
				"X-System": {sent.System}, "X-Total": {string(sent.Total)}, "X-Subject": {"orders/" + got.id}, "X-Object": nil,
			} {
				if !slices.Equal(got.header[name], want) {
					t.Errorf("%s: %s of %s is %q, want %q", path, name, got.id, got.header[name], want)
				}
			}
		}
	}
	blobs := filepath.Join(s.dir, "blobs")
	until(t, 30*time.Second, "the dead letters are written", func() bool { return len(deadLettersIn(t, blobs)) == len(ids) })

	text := map[string][]byte{}
	for _, name := range []string{"grid", "failing"} {
		id := topic.id + "/eventSubscriptions/" + name
		text["GET of "+name] = d.call(t, "GET", id, "").body
		text["status of "+name] = d.call(t, "POST", id+"/getDeliveryStatus", "").body
	}
	text["the list"] = d.call(t, "GET", topic.id+"/eventSubscriptions", "").body
	metrics, err := s.send(t.Context(), "GET", s.url+"/metrics", nil, nil)
	if err != nil || metrics.status != 200 {
		t.Fatalf("metrics: %d %v", metrics.status, err)
	}
	text["the metrics"] = metrics.body
	text["the log"] = []byte(s.stderr.String())
	s.stop(t) // or files would come and go while they are read
	err = filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, body := range text {
		for _, secret := range []string{"pr0perty-s3cret", "authorizati0n-s3cret", "ur1-s3cret"} {
			if i := bytes.Index(body, []byte(secret)); i >= 0 {
				t.Errorf("%s is in %s: … %q …", secret, where, body[max(0, i-80):min(len(body), i+80)])
			}
		}
	}
}

// TestProtectedWebhook delivers to an endpoint protected by Microsoft Entra. It
// checks every token as such endpoints do: with the keys that the issuer names.
func TestProtectedWebhook(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hook := receive(t)
	d := shop(t, s)
	topic := d.openTopic(t, "orders", gridInput)
	const application = "api://erp.shop.example"
	var mu sync.Mutex
	var problems []string
	tokens := map[string]bool{}
	checked := func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		err := checkToken(s, token, application)
		mu.Lock()
		defer mu.Unlock()
		tokens[token] = true
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s %s: %v", r.Method, r.Header.Get("Aeg-Event-Type"), err))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	asked := 0
	hook.consent("/cloud", func(w http.ResponseWriter, r *http.Request) {
		checked(w, r)
		asked++
		w.Header().Set("WebHook-Allowed-Origin", "*")
	})
	hook.answer("/cloud", checked)
	hook.answer("/grid", checked)
	for path, schema := range map[string]armeventgrid.EventDeliverySchema{"/grid": asGrid, "/cloud": asCloud} {
		es := webhookAs(hook.URL+path, schema)
		hookProperties(es).AzureActiveDirectoryTenantID, hookProperties(es).AzureActiveDirectoryApplicationIDOrURI = new(s.tenant(t)), new(application)
		d.subscribeAt(t, topic.id, strings.Trim(path, "/"), es)
	}
	ids := []string{"1", "2", "3"}
	for _, id := range ids {
		topic.mustPublish(t, "["+gridEvent(id, "{}")+"]", nil)
	}
	for _, path := range []string{"/grid", "/cloud"} {
		until(t, 10*time.Second, "the events arrive", func() bool { return hook.hasAll(path, ids) })
	}
	mu.Lock()
	defer mu.Unlock()
	for _, p := range problems {
		t.Error(p)
	}
	if asked == 0 || len(tokens) != 1 {
		t.Errorf("asked %d times for consent; %d tokens where one is enough", asked, len(tokens))
	}
}

// checkToken is what a protected endpoint does.
func checkToken(s *server, token, audience string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("no token: %q", token)
	}
	var header struct{ Kid, Alg string }
	var claims struct {
		Aud, Iss, AppID, Azp, Tid string
		Roles                     []string
		Exp, Nbf                  int64
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	now := time.Now().Unix()
	switch {
	case header.Alg != "RS256":
		return fmt.Errorf("signed by %s", header.Alg)
	case claims.Aud != audience:
		return fmt.Errorf("for %s", claims.Aud)
	case claims.AppID != "4962773b-9cdb-44cf-a8bf-237846a00ab7" && claims.Azp != "4962773b-9cdb-44cf-a8bf-237846a00ab7":
		return fmt.Errorf("from application %s %s", claims.AppID, claims.Azp)
	case !slices.Contains(claims.Roles, "AzureEventGridSecureWebhookSubscriber"):
		return fmt.Errorf("with the roles %v", claims.Roles)
	case now > claims.Exp || now < claims.Nbf:
		return fmt.Errorf("valid from %d to %d", claims.Nbf, claims.Exp)
	}
	key, err := signingKey(s, claims.Iss, header.Kid)
	if err != nil {
		return err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
}

// signingKey asks an issuer for its keys, as any OpenID library does.
func signingKey(s *server, issuer, id string) (*rsa.PublicKey, error) {
	var about struct {
		Issuer string
		Keys   string `json:"jwks_uri"`
	}
	if err := s.getJSON(issuer+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != issuer {
		return nil, fmt.Errorf("the document of %s is of %s", issuer, about.Issuer)
	}
	var set struct{ Keys []struct{ Kid, N, E string } }
	if err := s.getJSON(about.Keys, &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.Kid != id {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(k.N)
		if err != nil {
			return nil, err
		}
		e, err := base64.RawURLEncoding.DecodeString(k.E)
		if err != nil {
			return nil, err
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	}
	return nil, fmt.Errorf("no key %s among %d", id, len(set.Keys))
}

func (s *server) getJSON(url string, into any) error {
	resp, err := s.http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
