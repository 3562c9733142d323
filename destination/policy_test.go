package destination_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/destination"
)

func TestPolicyFollowsTheDocumentedTable(t *testing.T) {
	const s, m = time.Second, time.Minute
	no := destination.Policy{}
	retry := func(earliest, probation time.Duration) destination.Policy {
		return destination.Policy{Retry: true, Earliest: earliest, Probation: probation}
	}
	for _, row := range []struct {
		outcome           destination.Outcome
		webhook, resource destination.Policy
	}{
		{destination.Delivered, no, no},
		{destination.BadRequest, no, no},
		{destination.PayloadTooLarge, no, no},
		{destination.Unauthorized, destination.Policy{Probation: 5 * m}, retry(5*m, 5*m)},
		{destination.Forbidden, destination.Policy{Probation: 5 * m}, destination.Policy{Probation: 5 * m}},
		{destination.NotFound, destination.Policy{Probation: 5 * m}, retry(5*m, 5*m)},
		{destination.TimedOut, retry(10*s, 10*s), retry(10*s, 10*s)},
		{destination.Busy, retry(10*s, 10*s), retry(10*s, 10*s)},
		{destination.GenericError, retry(10*s, 0), retry(10*s, 0)},
		{destination.SocketError, retry(10*s, 30*s), retry(10*s, 30*s)},
		{destination.ResolutionError, retry(10*s, 5*m), retry(10*s, 5*m)},
		{destination.Disabled, retry(10*s, 5*m), retry(10*s, 5*m)},
		{destination.Full, retry(10*s, 5*m), retry(10*s, 5*m)},
		{destination.InvalidAzureFunctionDestination, retry(10*s, 10*m), retry(10*s, 10*m)},
		{destination.Aborted, retry(0, 0), retry(0, 0)},
		{destination.Canceled, no, no},
		{"Martian", retry(10*s, 0), retry(10*s, 0)},
	} {
		for kind, want := range map[destination.Kind]destination.Policy{
			destination.WebHook:            row.webhook,
			destination.PartnerDestination: row.webhook,
			destination.StorageQueue:       row.resource,
			destination.AzureFunction:      row.resource,
		} {
			if diff := cmp.Diff(want, kind.Policy(row.outcome)); diff != "" {
				t.Errorf("%s.Policy(%s) (-want +got):\n%s", kind, row.outcome, diff)
			}
		}
	}
}

func TestRetryWebhookNotFoundChangesThatRowOnly(t *testing.T) {
	r := destination.Rules{RetryWebhookNotFound: true}
	for _, o := range destination.Outcomes() {
		want := destination.WebHook.Policy(o)
		if o == destination.NotFound {
			want = destination.StorageQueue.Policy(o)
			if !want.Retry {
				t.Fatal("the 404 of an Azure resource must be retried")
			}
		}
		if diff := cmp.Diff(want, r.Policy(destination.WebHook, o)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o, diff)
		}
	}
}

func TestFromStatus(t *testing.T) {
	named := map[int]destination.Outcome{
		200: destination.Delivered, 201: destination.Delivered, 202: destination.Delivered,
		203: destination.Delivered, 204: destination.Delivered,
		400: destination.BadRequest, 401: destination.Unauthorized, 403: destination.Forbidden,
		404: destination.NotFound, 408: destination.TimedOut, 413: destination.PayloadTooLarge,
		429: destination.Busy, 503: destination.Busy,
	}
	extra := map[int]time.Duration{408: 2 * time.Minute, 503: 30 * time.Second}
	for status := 100; status < 600; status++ {
		want, ok := named[status]
		if !ok {
			want = destination.GenericError
		}
		got, after := destination.FromStatus(status)
		if got != want || after != extra[status] {
			t.Errorf("FromStatus(%d) = %s, %s; want %s, %s", status, got, after, want, extra[status])
		}
		if !slices.Contains(destination.Outcomes(), got) {
			t.Errorf("FromStatus(%d) = %s, which is not in the closed set", status, got)
		}
	}
}
