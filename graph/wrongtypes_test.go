package graph

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"regexp"
	"testing"
	"time"
)

// ours is what an error text must not hold: words of the language and of the
// standard library's parsers.
var ours = regexp.MustCompile(`\bGo\b|json:|\bunmarshal|asn1|x509|\bstruct|\bu?int(8|16|32|64)\b|map\[|\[\]\w`)

// Whatever a body has in place of what belongs there, the answer is in words that a
// client knows.
func TestErrorsNameNoTypesOfOurs(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	bodies := []string{
		`[]`, `7`, `"x"`, `{`, `{"displayName":7}`, `{"displayName":"x","keyCredentials":{}}`, `{"displayName":"x","keyCredentials":[7]}`,
		`{"displayName":"x","keyCredentials":[{"key":7}]}`, `{"displayName":"x","keyCredentials":[{"key":"AAAA"}]}`,
		`{"passwordCredential":7}`, `{"passwordCredential":{"endDateTime":7}}`, `{"passwordCredential":{"endDateTime":"soon"}}`,
		`{"keyId":[]}`, `{"appId":{}}`, `{"accountEnabled":"maybe"}`, `{"ids":"x"}`, `{"@odata.id":7}`,
	}
	for i := 0; i < len(der); i += 5 { // a certificate with one byte changed
		bad := append([]byte(nil), der...)
		bad[i] ^= 0x35
		bodies = append(bodies, `{"displayName":"x","keyCredentials":[{"key":"`+base64.StdEncoding.EncodeToString(bad)+`"}]}`)
	}
	w := newWorld(t)
	app := must[application](t, w.do(owner, "POST", "applications", `{"displayName":"app"}`), 201)
	refused := 0
	for _, op := range []struct{ method, path string }{
		{"POST", "applications"},
		{"PATCH", "applications/" + app.ID},
		{"POST", "applications/" + app.ID + "/addPassword"},
		{"POST", "applications/" + app.ID + "/removePassword"},
		{"POST", "applications/" + app.ID + "/owners/$ref"},
		{"POST", "servicePrincipals"},
		{"POST", "directoryObjects/getByIds"},
	} {
		for _, body := range bodies {
			rec := w.do(owner, op.method, op.path, body)
			if rec.Code < 400 {
				continue
			}
			refused++
			if word := ours.FindString(rec.Body.String()); rec.Code >= 500 || word != "" {
				t.Errorf("%s %s: %d holds %q: %s\nbody: %.200s", op.method, op.path, rec.Code, word, rec.Body, body)
			}
		}
	}
	if refused < len(bodies) {
		t.Errorf("only %d requests were refused", refused)
	}
}
