package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// What can be wrong with a SAS token. Errors of [VerifySAS] match exactly one
// of them by [errors.Is]. The first is a 400, the others are a 401.
var (
	ErrSASMalformed = errors.New("malformed shared access signature")
	ErrSASExpiry    = errors.New("the expiry of the shared access signature is not a time")
	ErrSASSignature = errors.New("shared access signature was not made with a key of this resource")
	ErrSASExpired   = errors.New("expired shared access signature")
	ErrSASResource  = errors.New("shared access signature is for another resource")
)

// SASForm shows what a SAS token looks like.
const SASForm = "r={resource}&e={expiry}&s={signature}"

// sasSkew is how far the publisher's clock may be behind ours.
const sasSkew = 5 * time.Minute

// SASRequest says what the token is presented for, in the words of the request
// itself, so that a proxy which ends TLS changes nothing.
type SASRequest struct {
	Host string // as in the Host header, with or without port
	Path string // the URL's path
}

// VerifySAS checks a token of the form [SASForm] against the base64 keys of a
// resource. It returns nil, or an error that
// matches one of the ErrSAS values and repeats neither token nor key.
//
// The signature covers the text before the last "&s=" byte for byte. Each
// generator escapes in its own way, so that text is never decoded and encoded
// again. What the token says is not looked at before its signature holds:
// whoever has no key learns only that, or that it is no token.
func VerifySAS(token string, req SASRequest, keys []string, now time.Time) error {
	cut := strings.LastIndex(token, "&s=")
	if cut < 0 {
		return fmt.Errorf("%w: no &s= part", ErrSASMalformed)
	}
	signed := token[:cut]
	resource, expiry, err := splitSAS(signed)
	if err != nil {
		return err
	}
	sig, err := decodeSASSignature(token[cut+len("&s="):])
	if err != nil {
		return err
	}
	if !signedByAny(signed, sig, keys) {
		return ErrSASSignature
	}
	expires, err := ParseSASExpiry(expiry)
	if err != nil {
		return err
	}
	if now.After(expires.Add(sasSkew)) {
		return fmt.Errorf("%w: at %s", ErrSASExpired, expires.UTC().Format(time.RFC3339))
	}
	if !coversRequest(resource, req) {
		return ErrSASResource
	}
	return nil
}

// SignSAS makes a token for resource, the endpoint's URL, that ends at
// expires. Its form is the one of Azure's Go samples. It fails when key is not
// base64.
func SignSAS(resource string, expires time.Time, key string) (string, error) {
	k, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return "", fmt.Errorf("sign sas: key is not base64: %w", err)
	}
	signed := "r=" + url.QueryEscape(resource) + "&e=" + url.QueryEscape(expires.UTC().Format(time.RFC3339))
	return signed + "&s=" + url.QueryEscape(base64.StdEncoding.EncodeToString(sasMAC(signed, k))), nil
}

func sasMAC(signed string, key []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(signed))
	return m.Sum(nil)
}

// signedByAny tries every key, also after a match, so that time does not tell
// which one it was.
func signedByAny(signed string, sig []byte, keys []string) bool {
	ok := false
	for _, k := range keys {
		key, err := base64.StdEncoding.DecodeString(k)
		if err != nil || len(key) == 0 {
			continue // anybody can sign with an empty key
		}
		if hmac.Equal(sig, sasMAC(signed, key)) {
			ok = true
		}
	}
	return ok
}

func decodeSASSignature(s string) ([]byte, error) {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not URL-encoded", ErrSASSignature)
	}
	// A '+' of the base64 alphabet that was left unescaped is a blank by now.
	sig, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(plain, " ", "+"))
	if err != nil {
		return nil, fmt.Errorf("%w: it is not base64", ErrSASSignature)
	}
	return sig, nil
}

// splitSAS returns the decoded r and e of the signed text. Parameters it does
// not know are ignored: they were signed too.
func splitSAS(signed string) (resource, expiry string, err error) {
	for part := range strings.SplitSeq(signed, "&") {
		name, raw, _ := strings.Cut(part, "=")
		var value *string
		switch name {
		case "r":
			value = &resource
		case "e":
			value = &expiry
		default:
			continue
		}
		if *value != "" {
			return "", "", fmt.Errorf("%w: %s= occurs twice", ErrSASMalformed, name)
		}
		if *value, err = url.QueryUnescape(raw); err != nil {
			return "", "", fmt.Errorf("%w: %s= is not URL-encoded", ErrSASMalformed, name)
		}
	}
	if resource == "" || expiry == "" {
		return "", "", fmt.Errorf("%w: r= or e= is missing", ErrSASMalformed)
	}
	return resource, expiry, nil
}

// The date-times that Azure's SDKs and samples write, once blanks are made
// alike. Fractions of a second are accepted after every one of them, and hour,
// minute and second may have one digit each.
var (
	isoExpiry = [...]string{
		"2006-01-02T15:4:5Z07:00", // Go, Python SDK
		"2006-01-02T15:4:5",       // Python sample, Python SDK with a naive date-time
	}
	usExpiry = [...]string{
		"1/2/2006 3:4:5 PM",        // C# sample, JS SDK, Java SDK
		"1/2/2006 3:4:5 PM Z07:00", // .NET SDK
	}
)

// ParseSASExpiry reads the (already URL-decoded) expiry of a SAS token in any
// form that a known generator writes. Without a zone it is UTC. The error
// is [ErrSASExpiry].
func ParseSASExpiry(s string) (time.Time, error) {
	// Newer .NET puts a narrow no-break space before AM and PM. Fields takes
	// U+202F and U+00A0 for blanks, as Unicode has them.
	norm := strings.ToUpper(strings.Join(strings.Fields(s), " "))
	layouts := usExpiry
	if !strings.Contains(norm, "/") {
		// Python's str() writes a blank where its isoformat() writes the T.
		layouts, norm = isoExpiry, strings.Replace(norm, " ", "T", 1)
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, norm); err == nil {
			return t, nil
		}
	}
	return time.Time{}, ErrSASExpiry
}

// coversRequest reports whether the resource a token was made for is the
// requested URL or a prefix of it that ends at a segment. Scheme, query, a
// trailing slash and letter case do not count; a bare host covers all its
// paths; a resource without a port fits any port of its host.
func coversRequest(resource string, req SASRequest) bool {
	r := strings.ToLower(resource)
	r, _, _ = strings.Cut(r, "?")
	scheme, rest, ok := strings.Cut(r, "://")
	if !ok {
		scheme, rest = "", r
	}
	host, path, _ := strings.Cut(rest, "/")
	if !sameHost(scheme, host, strings.ToLower(req.Host)) {
		return false
	}
	path = sasPath(path)
	want := sasPath(strings.ToLower(req.Path))
	return path == "" || want == path || strings.HasPrefix(want, path+"/")
}

// sasPath returns a lower-case path without outer slashes, with the publish
// path of Event Grid's early days in today's form.
func sasPath(p string) string {
	p = strings.Trim(p, "/")
	if head, ok := strings.CutSuffix(p, "eventgrid/api/events"); ok && (head == "" || strings.HasSuffix(head, "/")) {
		return head + "api/events"
	}
	return p
}

func sameHost(scheme, signed, requested string) bool {
	if signed == "" {
		return false
	}
	sh, sp := splitPort(signed)
	rh, rp := splitPort(requested)
	if sh != rh {
		return false
	}
	if sp == "" || sp == rp {
		return true
	}
	// Clients leave a scheme's own port out of the Host header.
	return rp == "" && (sp == "443" && scheme != "http" || sp == "80" && scheme != "https")
}

// splitPort cuts host:port and [v6]:port. A v6 address keeps its brackets.
func splitPort(hp string) (host, port string) {
	i := strings.LastIndexByte(hp, ':')
	if i < 0 || strings.HasSuffix(hp, "]") {
		return hp, ""
	}
	return hp[:i], hp[i+1:]
}
