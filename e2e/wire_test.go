package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// answer is what came back for one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code returns the code of an error body.
func (a answer) code() string { return a.error().Code }

// detail returns the finer code of an error body.
func (a answer) detail() string {
	if d := a.error().Details; len(d) > 0 {
		return d[0].Code
	}
	return ""
}

type wireError struct {
	Code, Message, Target string
	Details               []wireError
}

func (a answer) error() wireError {
	var b struct{ Error wireError }
	_ = json.Unmarshal(a.body, &b) // what is no error body has no code
	return b.Error
}

// property returns a member of the answer's properties as text.
func (a answer) property(name string) string {
	var b struct{ Properties map[string]any }
	_ = json.Unmarshal(a.body, &b) // what has no properties has none of that name
	return fmt.Sprint(b.Properties[name])
}

// send makes one request.
func (s *server) send(ctx context.Context, method, target string, header map[string]string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

// call makes one management request as the side's principal. path may have a
// query of its own; without one it gets an api-version.
func (d *side) call(t *testing.T, method, path, body string) answer {
	t.Helper()
	token := d.token(t, "https://management.azure.com/.default")
	if !strings.Contains(path, "?") {
		path += "?api-version=2022-06-15"
	}
	header := map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}
	got, err := d.server.send(t.Context(), method, d.server.url+path, header, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (d *side) token(t *testing.T, scope string) string {
	t.Helper()
	token, err := d.credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		t.Fatal(err)
	}
	return token.Token
}

// publisher sends events to a partner namespace without an SDK.
type publisher struct {
	server   *server
	endpoint string
	key      string
	channel  string
}

// publisherOf reads endpoint and key as the partner would.
func publisherOf(t *testing.T, partner *side, channel string) *publisher {
	t.Helper()
	ns := must(partner.NewPartnerNamespacesClient().Get(t.Context(), partner.group, namespace, nil))(t)
	keys := must(partner.NewPartnerNamespacesClient().ListSharedAccessKeys(t.Context(), partner.group, namespace, nil))(t)
	return &publisher{server: partner.server, endpoint: *ns.Properties.Endpoint, key: *keys.Key1, channel: channel}
}

// emptyValue is a header that is there and holds nothing.
const emptyValue = "(empty)"

// post sends a body; extra headers replace those of a good request, and "" takes
// one away.
func (p *publisher) post(ctx context.Context, body []byte, extra map[string]string) (answer, error) {
	header := map[string]string{
		"aeg-sas-key": p.key, "aeg-channel-name": p.channel, "Content-Type": "application/cloudevents-batch+json; charset=utf-8",
	}
	for k, v := range extra {
		switch header[k] = v; v {
		case "":
			delete(header, k)
		case emptyValue:
			header[k] = ""
		}
	}
	return p.server.send(ctx, http.MethodPost, p.endpoint, header, body)
}

// publish sends events with these ids and reports whether they were accepted.
func (p *publisher) publish(ctx context.Context, ids ...string) (bool, error) {
	events := make([]string, len(ids))
	for i, id := range ids {
		events[i] = fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/northwave","type":"Northwave.Order.Placed","data":{"id":%q}}`, id, id)
	}
	a, err := p.post(ctx, []byte("["+strings.Join(events, ",")+"]"), nil)
	return err == nil && a.status == http.StatusOK, err
}

// sas signs an endpoint as the documents of Event Grid say.
func sas(endpoint string, expires time.Time, key string) string {
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return err.Error() // no token, and the server will say so
	}
	text := "r=" + url.QueryEscape(endpoint) + "&e=" + url.QueryEscape(expires.UTC().Format("1/2/2006 3:04:05 PM"))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "&s=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
