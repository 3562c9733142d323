package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/intertie/intertie/destination"
)

// Error is a failed exchange with an endpoint.
//
// It wraps nothing on purpose: the texts of net/http quote what the endpoint
// sent, and an endpoint can send back the secret in its own URL.
type Error struct {
	// Method and URL name the request; the URL is redacted.
	Method, URL string
	// Outcome classifies the failure, never Delivered.
	Outcome destination.Outcome
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int
	// Reason is half a sentence for people.
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return e.Method + " " + e.URL + ": " + e.Reason }

// failure is why an exchange brought no answer.
type failure struct {
	outcome destination.Outcome
	reason  string
	// final is set when trying again a few seconds later is pointless.
	final bool
}

func (f *failure) error(method, url string) *Error {
	return &Error{Method: method, URL: url, Outcome: f.outcome, Reason: f.reason}
}

// classify maps an error of the transport to an outcome. caller is the context
// the exchange was asked under, attempt the one with the time limit added.
//
// A dial that the guard refused counts as a name without an address:
// ResolutionError. It is retried under the longest probation of the table, and
// each try costs one DNS question and sends nothing. Giving up at once would
// lose events to a passing fault (a resolver that answers 0.0.0.0 during an
// outage) or to a restart without the switch that permits private addresses.
// The life of the event bounds the tries.
func classify(err error, caller, attempt context.Context, limit time.Duration) *failure {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		op   *net.OpError
	)
	switch {
	case caller.Err() != nil:
		return &failure{outcome: destination.Aborted, reason: "the attempt was given up", final: true}
	case errors.Is(err, errAddress):
		return &failure{outcome: destination.ResolutionError, reason: unusableName, final: true}
	case errors.As(err, &dns):
		return &failure{outcome: destination.ResolutionError, reason: dnsReason(dns), final: dns.IsNotFound}
	case attempt.Err() != nil:
		return tooSlow(limit)
	case errors.As(err, &cert):
		return &failure{outcome: destination.SocketError, reason: certReason(cert.Err), final: true}
	case errors.As(err, &rec):
		return &failure{outcome: destination.SocketError, reason: "the endpoint does not speak TLS", final: true}
	}
	f := &failure{outcome: destination.SocketError}
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		f.reason = "connecting timed out"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.reason = "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.reason = "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.reason = "the endpoint's network cannot be reached"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.reason = "the connection was closed without an answer"
	case errors.As(err, &op) && op.Op == "dial":
		f.reason = "the connection could not be made"
	default:
		f.reason = "the connection broke or the answer was not HTTP"
	}
	return f
}

// tooSlow is the failure of an endpoint that did not answer in time.
func tooSlow(limit time.Duration) *failure {
	return &failure{outcome: destination.TimedOut, reason: "no answer within " + limit.String()}
}

// unusableName is the reason for a name that does not exist and for one that leads to
// addresses that are not permitted: two texts would tell strangers which names there
// are inside the operator's network.
const unusableName = "the host name leads to no address that is permitted for webhooks"

func dnsReason(e *net.DNSError) string {
	switch {
	case e.IsNotFound:
		return unusableName
	case e.IsTimeout:
		return "looking up the host name timed out"
	default:
		return "looking up the host name failed"
	}
}

func certReason(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "the certificate is not valid for this host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not yet valid"
	default:
		return "the certificate is not valid"
	}
}

// statusReason words an answer that is not a success.
func statusReason(status int) string {
	if status/100 == 3 {
		return "the endpoint answered " + strconv.Itoa(status) + ", and redirects are not followed"
	}
	return "the endpoint answered " + strconv.Itoa(status)
}
