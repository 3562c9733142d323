package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/intertie/intertie/armclient"
)

// actor is a principal of the walk over all operations, in the terms of what
// its role is documented to allow.
type actor struct {
	name, role string
	// world is whose resources it tries its luck on. Who may change something has
	// a world of its own.
	world  string
	token  string // empty: sends none
	permit func(action string) bool
}

const sharedWorld = "shared"

// permits are the roles of the walk: what is not named here is refused.
var permits = map[string]func(action string) bool{
	"Owner":       func(string) bool { return true },
	"Contributor": func(string) bool { return true },
	"Reader":      func(action string) bool { return strings.HasSuffix(action, "/read") },
	"EventGrid EventSubscription Contributor": func(action string) bool {
		lists := []string{"topicTypes/eventSubscriptions/read", "locations/eventSubscriptions/read", "locations/topicTypes/eventSubscriptions/read"}
		return strings.HasPrefix(action, "eventSubscriptions/") || slices.Contains(lists, action)
	},
	"EventGrid Data Sender": func(action string) bool {
		return slices.Contains([]string{"topics/read", "domains/read", "partnerNamespaces/read"}, action)
	},
	"": func(string) bool { return false },
}

// expected returns the status codes of which an operation must answer one.
func (a *actor) expected(op managed) string {
	switch {
	case a.token == "":
		return "401"
	case strings.HasPrefix(op.path, "{T}"), a.permit(op.action): // what is in the tenant takes a token only
		return op.want
	default:
		return "403"
	}
}

// walk tries operations against one server.
type walk struct {
	*server
	subscription, hook string
	owner              *actor
}

var placeholders = regexp.MustCompile(`\{[a-z]{1,3}\}`)

// fill writes a text of the table for one world.
func (w *walk) fill(text, world string) string {
	text = strings.NewReplacer(
		"{T}", "/providers/Microsoft.EventGrid",
		"{S}", "/subscriptions/"+w.subscription+"/providers/Microsoft.EventGrid",
		"{RG}", "/subscriptions/"+w.subscription+"/resourceGroups/in-"+world+"/providers/Microsoft.EventGrid",
		"{GROUP}", "in-"+world, "{SUB}", w.subscription, "{HOOK}", w.hook,
	).Replace(text)
	return placeholders.ReplaceAllStringFunc(text, func(p string) string { return "there-" + p[1:len(p)-1] + "-" + world })
}

// do sends an operation to a path that is filled in.
func (w *walk) do(t *testing.T, a *actor, op managed, path, body string) answer {
	t.Helper()
	version := op.version
	if version == "" {
		version = "2022-06-15"
	}
	header := map[string]string{"Content-Type": "application/json"}
	if a.token != "" {
		header["Authorization"] = "Bearer " + a.token
	}
	got, err := w.send(t.Context(), op.method, w.url+path+"?api-version="+version, header, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// try sends an operation on what is there.
func (w *walk) try(t *testing.T, a *actor, op managed) answer {
	t.Helper()
	return w.do(t, a, op, w.fill(op.path, a.world), w.fill(op.body, a.world))
}

// wants checks an answer against a list of status codes.
func (w *walk) wants(t *testing.T, a *actor, op managed, got answer, codes string) {
	t.Helper()
	if !slices.Contains(strings.Split(codes, ","), strconv.Itoa(got.status)) {
		t.Errorf("%s: %s: %s %s: %d, want %s: %.400s", a.name, op.name, op.method, w.fill(op.path, a.world), got.status, codes, got.body)
	}
}

// build makes a world with the PUTs of the table.
func (w *walk) build(t *testing.T, world string, by *actor) {
	t.Helper()
	builder := *by
	builder.world = world
	group := managed{name: "group", method: http.MethodPut, path: "/subscriptions/{SUB}/resourceGroups/{GROUP}"}
	w.wants(t, &builder, group, w.do(t, &builder, group, w.fill(group.path, world), place), "201")
	for _, op := range managedOperations {
		if op.method == http.MethodPut {
			w.wants(t, &builder, op, w.try(t, &builder, op), op.want)
		}
	}
}

// look returns all that the owner can read of a world, to be compared later.
func (w *walk) look(t *testing.T, world string) string {
	t.Helper()
	owner := *w.owner
	owner.world = world
	var seen strings.Builder
	for _, op := range managedOperations {
		if op.method == http.MethodGet && strings.HasPrefix(op.path, "{RG}") || strings.HasSuffix(op.path, "/listKeys") {
			fmt.Fprintf(&seen, "%s %s\n", op.name, w.try(t, &owner, op).body)
		}
	}
	return seen.String()
}

// newWalk starts a server with a subscription in which everything exists, and
// the principals of the walk.
func newWalk(t *testing.T) (*walk, []*actor) {
	t.Helper()
	s := serve(t)
	op := operator(t, s)
	home := must(op.CreateSubscription(t.Context(), "home"))(t)
	other := must(op.CreateSubscription(t.Context(), "other"))(t)
	w := &walk{server: s, subscription: home, hook: receive(t).URL + "/hook"}
	actors := []*actor{
		{name: "owner", role: "Owner", world: "owner"},
		{name: "contributor", role: "Contributor", world: "contributor"},
		{name: "reader", role: "Reader", world: sharedWorld},
		{name: "subscriber", role: "EventGrid EventSubscription Contributor", world: "subscriber"},
		{name: "sender", role: "EventGrid Data Sender", world: sharedWorld},
		{name: "other owner", world: sharedWorld},
		{name: "nobody", world: sharedWorld},
		{name: "no token", world: sharedWorld},
	}
	for _, a := range actors {
		a.permit = permits[a.role]
		switch a.name {
		case "no token":
		case "nobody":
			a.token = signIn(t, s, nobody(t, op), "adfs", home, "").token(t, "https://management.azure.com/.default")
		case "other owner":
			a.token = newMember(t, s, "other", "Owner", other, "").token(t, "https://management.azure.com/.default")
		default:
			a.token = newMember(t, s, a.name, a.role, home, "").token(t, "https://management.azure.com/.default")
		}
	}
	w.owner = actors[0]
	register := managed{name: "register", method: http.MethodPost, path: "/subscriptions/{SUB}/providers/Microsoft.EventGrid/register"}
	w.wants(t, w.owner, register, w.try(t, w.owner, register), "200")
	publishVerifiedPartner(t, s)
	return w, actors
}

// publishVerifiedPartner has the operator put one partner into the gallery.
func publishVerifiedPartner(t *testing.T, s *server) {
	t.Helper()
	partner := map[string]any{"properties": map[string]any{
		"partnerRegistrationImmutableId": "00000000-0000-4000-8000-00000000000a", "organizationName": "Northwave", "partnerDisplayName": "Northwave",
		"partnerTopicDetails": map[string]any{"description": "Orders"},
	}}
	if err := operator(t, s).Do(t.Context(), http.MethodPut, "/providers/Microsoft.EventGrid/verifiedPartners/Northwave", "2022-06-15", partner, nil); err != nil {
		t.Fatal(err)
	}
}

// nobody makes a principal without any role.
func nobody(t *testing.T, op *armclient.Client) armclient.Principal {
	t.Helper()
	var app struct{ ID, AppID string }
	var principal struct{ ID string }
	var password struct{ SecretText string }
	for _, step := range []struct {
		path func() string
		body map[string]any
		out  any
	}{
		{func() string { return "applications" }, map[string]any{"displayName": "nobody"}, &app},
		{func() string { return "servicePrincipals" }, nil, &principal},
		{func() string { return "applications/" + app.ID + "/addPassword" }, map[string]any{}, &password},
	} {
		if step.body == nil {
			step.body = map[string]any{"appId": app.AppID}
		}
		if err := op.Do(t.Context(), http.MethodPost, "/graph/v1.0/"+step.path(), "", step.body, step.out); err != nil {
			t.Fatal(err)
		}
	}
	return armclient.Principal{Name: "nobody", AppID: app.AppID, ObjectID: principal.ID, Secret: password.SecretText}
}

// TestEveryOperationForEveryone walks all operations of classic Event Grid as
// eight principals: each is allowed what its role says and nothing else, a
// refusal does not tell whether something is there, and it changes nothing.
func TestEveryOperationForEveryone(t *testing.T) {
	t.Parallel()
	w, actors := newWalk(t)
	w.build(t, sharedWorld, w.owner)
	for _, a := range actors {
		switch {
		case a.world == sharedWorld:
		case a.role == "Owner" || a.role == "Contributor":
			w.build(t, a.world, a) // which proves that it can
		default:
			w.build(t, a.world, w.owner)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, a := range actors {
		t.Run(a.name, func(t *testing.T) {
			before := w.look(t, a.world)
			var allowed []managed
			for _, op := range managedOperations {
				switch a.expected(op) {
				case "401":
					if got := w.try(t, a, op); got.status != 401 || got.code() != "AuthenticationFailed" {
						t.Errorf("%s without a token: %d %s", op.name, got.status, got.body)
					}
				case "403":
					w.refused(t, a, op)
				default:
					allowed = append(allowed, op)
				}
			}
			if after := w.look(t, a.world); after != before {
				t.Errorf("refused operations changed something; before:\n%s\nafter:\n%s", before, after)
			}
			w.allowed(t, a, allowed)
		})
	}
}

// refused tries an operation that must be refused, on what is there, on what is
// not, in a group and in a subscription that do not exist: the answers differ in
// the names only.
func (w *walk) refused(t *testing.T, a *actor, op managed) {
	t.Helper()
	const nowhere = "00000000-0000-4000-8000-00000000000b"
	there := w.try(t, a, op)
	if there.status != 403 || there.code() != "AuthorizationFailed" {
		t.Errorf("%s: %s: %s %s: %d, want 403 AuthorizationFailed: %.400s", a.name, op.name, op.method, w.fill(op.path, a.world), there.status, there.body)
		return
	}
	for _, gone := range []*strings.Replacer{
		strings.NewReplacer("there-", "gone-"),
		strings.NewReplacer("resourceGroups/in-", "resourceGroups/out-"),
		strings.NewReplacer("subscriptions/"+w.subscription, "subscriptions/"+nowhere),
	} {
		got := w.do(t, a, op, gone.Replace(w.fill(op.path, a.world)), w.fill(op.body, a.world))
		if got.status != 403 || string(got.body) != gone.Replace(string(there.body)) {
			t.Errorf("%s: %s tells what is there:\n%d %s\n%d %s", a.name, op.name, there.status, there.body, got.status, got.body)
		}
	}
}

// allowed does all that an actor may, deletions last and children first. What is
// deleted is gone, and deleting it again is no error.
func (w *walk) allowed(t *testing.T, a *actor, ops []managed) {
	t.Helper()
	var deletions []managed
	for _, op := range ops {
		if op.method == http.MethodDelete {
			deletions = append(deletions, op)
			continue
		}
		got := w.try(t, a, op)
		w.wants(t, a, op, got, op.want)
		if op.method == http.MethodGet && strings.Contains(string(got.body), "s3cr3t") {
			t.Errorf("%s: %s shows a secret: %s", a.name, op.name, got.body)
		}
		if mine := a.permit("partnerRegistrations/read"); op.version == previewOfTenantLists && strings.HasSuffix(op.path, "Registrations") &&
			strings.Contains(string(got.body), "there-pr-") != mine {
			t.Errorf("%s: %s: the registrations of the subscription are listed: %t, want %t", a.name, op.name, !mine, mine)
		}
	}
	for _, op := range slices.Backward(deletions) {
		w.wants(t, a, op, w.try(t, a, op), op.want)
		w.wants(t, a, op, w.try(t, a, op), "204")
		read := op
		read.method = http.MethodGet
		w.wants(t, a, read, w.try(t, a, read), "404")
	}
}
