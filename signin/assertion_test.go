package signin

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/intertie/intertie/access"
)

// signer gives the world's application a certificate, and returns how its
// assertions are made.
func (wd *world) signer(t *testing.T) func(jwt.Claims) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := access.NewCertificate(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "")
	if err != nil {
		t.Fatal(err)
	}
	wd.app.Certificates = []access.Certificate{cert}
	wd.dir[wd.app.AppID] = wd.app
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(c jwt.Claims) string {
		c.Issuer, c.Subject, c.Audience = wd.app.AppID, wd.app.AppID, jwt.Audience{"https://h/adfs/oauth2/token"}
		text, err := jwt.Signed(signer).Claims(c).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// byAssertion asks for a token and returns the status and Entra's number.
func (wd *world) byAssertion(t *testing.T, assertion, scope string) (status, number int) {
	t.Helper()
	rec := wd.do(http.MethodPost, "https://h/adfs/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {wd.app.AppID}, "scope": {scope},
		"client_assertion": {assertion}, "client_assertion_type": {assertionType},
	})
	var got errorBody
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Codes) > 0 {
		number = got.Codes[0]
	}
	return rec.Code, number
}

func TestAssertionLivesShortAndIsTakenOnce(t *testing.T) {
	wd := newWorld(t)
	sign := wd.signer(t)
	ends := func(after time.Duration) jwt.Claims {
		return jwt.Claims{Expiry: jwt.NewNumericDate(time.Now().Add(after)), ID: "1"}
	}
	const management, data = "https://management.azure.com/.default", "https://eventgrid.azure.net/.default"
	good, another := sign(ends(10*time.Minute)), sign(ends(9*time.Minute))
	for _, tt := range []struct {
		name, assertion, scope string
		status, number         int
	}{
		{"without an end", sign(jwt.Claims{}), management, 401, 50027},
		{"for two hours", sign(ends(2 * time.Hour)), management, 401, 700024},
		{"not yet", sign(jwt.Claims{Expiry: ends(time.Minute).Expiry, NotBefore: jwt.NewNumericDate(time.Now().Add(time.Hour))}), management, 401, 700024},
		{"for what nobody knows", good, "https://vault.azure.net/.default", 400, 500011},
		{"the first time", good, management, 200, 0},
		{"again", good, management, 401, 50013},
		{"again, spelled otherwise", good, "HTTPS://management.azure.com//.default", 401, 50013},
		{"for another audience", good, data, 200, 0},
		{"again for that", good, data, 401, 50013},
		{"another one", another, management, 200, 0},
	} {
		if status, number := wd.byAssertion(t, tt.assertion, tt.scope); status != tt.status || number != tt.number {
			t.Errorf("%s: %d with number %d, want %d with %d", tt.name, status, number, tt.status, tt.number)
		}
	}
}

// A form that does not come to an end is answered, and its connection ends.
func TestSlowFormIsGivenUp(t *testing.T) {
	wd := newWorld(t)
	wd.handler.Patience = 50 * time.Millisecond
	srv := httptest.NewServer(wd.handler)
	t.Cleanup(srv.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "POST /adfs/oauth2/token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), "did not arrive in time") {
		t.Errorf("got %d %s, %v", resp.StatusCode, body, err)
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection stays: %v", err)
	}
}
