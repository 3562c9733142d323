package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShares(2, 3)
		take := func(who string, n int) func() {
			t.Helper()
			back, err := s.take(t.Context(), who, n)
			if err != nil {
				t.Fatal(err)
			}
			return back
		}
		a1, a2 := take("a", 1), take("A", 1)
		start := time.Now()
		if _, err := s.take(t.Context(), "a", 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != sharePatience {
			t.Errorf("a third for one: %v after %v", err, time.Since(start))
		}
		b := take("b", 1)
		got := make(chan func())
		go func() { got <- take("c", 9) }() // more than there is: all of one's share
		synctest.Wait()
		a1()
		synctest.Wait()
		select {
		case <-got:
			t.Error("it was let in too early")
		default:
		}
		a2()
		(<-got)()
		b()
		if s.total != 0 || len(s.taken) > 0 {
			t.Errorf("left: %v", s.taken)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		take("a", 2)
		if _, err := s.wait(ctx, "a", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// impatient makes requests that wait for their share give up soon.
func (f *fixture) impatient() {
	f.bodies.patience, f.evaluations.patience = time.Millisecond, time.Millisecond
}

func TestFewTemplatesAreEvaluatedAtOnce(t *testing.T) {
	f := newFixture(t)
	f.running()
	var back []func()
	for range evaluationsEach {
		b, err := f.evaluations.take(t.Context(), customerSub, 1)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, b)
	}
	f.impatient()
	for _, r := range [][2]string{{"PUT", ""}, {"POST", "/validate"}, {"POST", "/whatIf"}} {
		a := f.do("owner", r[0], deployments+"x"+r[1], wrap(emptyTemplate, "", "")).wantError(429, "TooManyRequests", "evaluated")
		if a.header.Get("Retry-After") != "10" {
			t.Errorf("%s: %v", a.what, a.header)
		}
	}
	theirs := strings.Replace(strings.Replace(deployments, customerSub, partnerSub, 1), "rg-c", "rg-p", 1)
	f.ended(f.put("owner", theirs+"x", wrap(emptyTemplate, "", "")).want(201)).wantState("Succeeded")
	for _, b := range back {
		b()
	}
	// A deployment that waits for somebody keeps nobody from being evaluated.
	f.hooks.granted = false
	for i := range evaluations {
		f.put("owner", fmt.Sprint(deployments, "waits", i), wrap(strings.NewReplacer("top1", fmt.Sprint("one", i), "top2", fmt.Sprint("two", i)).Replace(consentTemplate), "", "")).want(201)
	}
	f.evaluations.patience = 20 * time.Second
	f.waitFor("all wait for consent", func() bool {
		f.hooks.mu.Lock()
		defer f.hooks.mu.Unlock()
		return len(f.hooks.asked) == evaluations
	})
	f.post("owner", deployments+"x/validate", wrap(emptyTemplate, "", "")).want(200)
}

func TestLargeBodiesUnderWayAreBounded(t *testing.T) {
	f := newFixture(t)
	f.impatient()
	back, err := f.bodies.take(t.Context(), customerSub, largeBodiesEach)
	if err != nil {
		t.Fatal(err)
	}
	large := `{"location":"westeurope","tags":{},"properties":{"x":"` + strings.Repeat("y", largeBody) + `"}}`
	const storage = "/providers/Microsoft.Storage/storageAccounts/"
	a := f.put("owner", customerRG+storage+"acct", large).wantError(429, "TooManyRequests", "large requests")
	if a.header.Get("Retry-After") != "10" {
		t.Errorf("got %v", a.header)
	}
	f.put("owner", customerRG+storage+"small", `{"location":"westeurope"}`).want(200)
	f.put("owner", partnerRG+storage+"acct", large).want(200)
	back()
	f.put("owner", customerRG+storage+"acct", large).want(200)
	// Of a length that nobody knows before.
	r := httptest.NewRequestWithContext(t.Context(), "PUT", base+customerRG+storage+"acct?api-version=2023-01-01", strings.NewReader(large))
	r.ContentLength = -1
	r.Header.Set("Authorization", "Bearer "+f.token("owner", "https://management.azure.com/"))
	f.send(r).want(200)
	if f.bodies.total != 0 {
		t.Errorf("%d bytes are still taken", f.bodies.total)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	f := newFixture(t)
	const storage = customerRG + "/providers/Microsoft.Storage/storageAccounts/acct"
	long := strings.Repeat("y", maxBody)
	f.put("owner", storage, `{"properties":{"x":"`+long+`"}}`).wantError(413, "RequestEntityTooLarge", fmt.Sprint(maxBody))
	f.post("owner", deployments+"x/validate", wrap(emptyTemplate, `{"p":{"value":"`+long+`"}}`, "")).wantError(400, "InvalidTemplate", "'p'")
	f.post("owner", deployments+"x/validate", wrap(emptyTemplate, `{"p":{"value":"`+strings.Repeat("y", maxTemplateBody)+`"}}`, "")).wantError(413, "RequestEntityTooLarge", fmt.Sprint(maxTemplateBody))
	f.put("owner", storage, `{"properties":{"x":[`+strings.Repeat("0,", mostValues)+`0]}}`).wantError(413, "RequestEntityTooLarge", "values")
	f.put("owner", storage, `{"location":"westeurope","properties":{"x":"`+strings.Repeat(`,[{\"`, mostValues)+`"}}`).want(200)
}

func TestRequestsOfWaitingDeploymentsAreBounded(t *testing.T) {
	f := newFixture(t)
	large := wrap(`{"parameters":{"p":{"type":"string"}},"resources":[]}`, `{"p":{"value":"`+strings.Repeat("y", 3<<20)+`"}}`, "")
	started := []*answer{f.put("owner", deployments+"1", large).want(201), f.put("owner", deployments+"2", large).want(201)}
	f.put("owner", deployments+"3", large).wantError(429, "TooManyRequests", "bytes")
	for _, j := range f.Deployments.waiting {
		if j.wanted != nil {
			t.Error("a deployment that waits keeps its template")
		}
	}
	f.running()
	for _, a := range started {
		f.ended(a).wantState("Succeeded")
	}
	f.waitFor("all places are given back", func() bool {
		f.Deployments.mu.Lock()
		defer f.Deployments.mu.Unlock()
		return f.Deployments.size == 0 && len(f.Deployments.bytes) == 0
	})
	f.put("owner", deployments+"3", large).want(201)
}

func TestPagesEndByTheirBytes(t *testing.T) {
	f := newFixture(t)
	text := strings.Repeat("y", 900<<10)
	const n = 12
	for i := range n {
		f.put("owner", fmt.Sprintf("%s/providers/Microsoft.Storage/storageAccounts/a%02d", customerRG, i), `{"location":"westeurope","properties":{"x":"`+text+`"}}`).want(200)
	}
	var names []string
	pages := 0
	for next := customerRG + "/providers/Microsoft.Storage/storageAccounts?api-version=2023-01-01"; next != ""; pages++ {
		a := f.get("owner", next).want(200)
		if len(a.raw) > largestPage+1<<20 || !json.Valid([]byte(a.raw)) {
			t.Errorf("a page of %d bytes", len(a.raw))
		}
		names = append(names, a.names()...)
		link, _ := a.at("nextLink").(string)
		next = strings.TrimPrefix(link, base)
	}
	if len(names) != n || len(slices.Compact(names)) != n || pages != 3 {
		t.Errorf("%d pages with %v", pages, names)
	}
}

func TestOthersResourcesHaveABudget(t *testing.T) {
	f := newFixture(t)
	f.ForeignBytes = 100_000
	body := func(n int) string {
		return `{"location":"westeurope","properties":{"x":"` + strings.Repeat("y", n) + `"}}`
	}
	const storage = "/providers/Microsoft.Storage/storageAccounts/"
	f.put("owner", customerRG+storage+"a1", body(40_000)).want(200)
	f.put("owner", customerRG+storage+"a2", body(40_000)).want(200)
	f.put("owner", customerRG+storage+"a3", body(40_000)).wantError(409, "Conflict", "100000")
	f.put("owner", customerRG+storage+"a2", body(80_000)).wantError(409, "Conflict")
	f.patch("owner", customerRG+storage+"a2", `{"tags":{"a":"b"}}`).want(200)
	f.put("owner", customerRG+provider+"/topics/ours", `{"location":"westeurope"}`).want(201)
	f.put("owner", partnerRG+storage+"a1", body(80_000)).want(200)
	f.put("owner", customerRG+storage+"a2", body(10)).want(200)
	f.put("owner", customerRG+storage+"a3", body(40_000)).want(200)
	// A template that would be too much makes nothing.
	a := f.post("owner", deployments+"x/validate", wrap(`{"resources":[{"type":"Microsoft.Storage/storageAccounts","apiVersion":"2023-01-01","name":"[concat('b', copyIndex())]","location":"x",
	  "copy":{"name":"c","count":20},"properties":{"x":"[padLeft('', 5000)]"}}]}`, "", "")).want(400)
	if !strings.Contains(a.raw, "other providers") {
		t.Errorf("got %s", a.raw)
	}
}

// The history is bounded by its bytes as well.
func TestTheHistoryIsBoundedInBytes(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.deploy("first", wrap(emptyTemplate, "", ""))
	first, _ := f.store.Get(mustID(t, deployments+"first"))
	for i := range 10 {
		c := first.Clone()
		c.ID = mustID(t, strings.Replace(partnerRG, partnerSub, customerSub, 1)).Provider(typeDeployment, fmt.Sprint("n", i)) // another group
		c.ModifiedAt = c.ModifiedAt.Add(-time.Duration(i) * time.Hour)
		c.Secrets[secretTemplate] = strings.Repeat("x", 4<<20)
		f.store.mu.Lock()
		f.store.all.Put(c)
		f.store.mu.Unlock()
	}
	f.deploy("last", wrap(emptyTemplate, "", "")).wantState("Succeeded")
	size := 0
	for _, r := range f.store.List(typeDeployment, resource.ID{}) {
		size += sizeOf(r)
	}
	if size > mostHistory || size < mostHistory/2 {
		t.Errorf("%d bytes are left", size)
	}
	f.get("owner", deployments+"first").want(200)
}

// Nobody learns from a deployment what else is in the group.
func TestDeploymentsNameOnlyWhatMayBeRead(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.put("owner", customerRG+provider+"/topics/secretname", `{"location":"westeurope"}`).want(201)
	f.put("owner", customerRG+"/providers/Microsoft.Storage/storageAccounts/secretacct", `{"location":"westeurope"}`).want(200)
	// May deploy, and delete anything, but read no topic.
	f.role("deployer", roleWith(f, customerRG, "Microsoft.Resources/*", "*/delete", "Microsoft.EventGrid/domains/read"), customerRG)
	complete := strings.Replace(wrap(emptyTemplate, "", ""), `"Incremental"`, `"Complete"`, 1)
	for _, body := range []string{complete, wrap(emptyTemplate, "", ""), strings.Replace(complete, `"template"`, `"whatIfSettings":{"resultFormat":"ResourceIdOnly"},"template"`, 1)} {
		a := f.post("deployer", deployments+"x/whatIf", body).want(200)
		if changes, _ := a.at("properties", "changes").([]any); len(changes) != 0 || strings.Contains(a.raw, "secret") {
			t.Errorf("got %s", a.raw)
		}
	}
	for _, r := range [][2]string{{"PUT", ""}, {"POST", "/validate"}} {
		a := f.do("deployer", r[0], deployments+"x"+r[1], complete).wantError(403, "AuthorizationFailed", "may not read")
		if strings.Contains(a.raw, "secret") {
			t.Errorf("got %s", a.raw)
		}
	}
	f.get("owner", customerRG+provider+"/topics/secretname").want(200)
	f.get("owner", customerRG+"/providers/Microsoft.Storage/storageAccounts/secretacct").want(200)
	f.role("deployer", access.RoleReader, customerRG)
	a := f.post("deployer", deployments+"x/whatIf", complete).want(200)
	if changes, _ := a.at("properties", "changes").([]any); len(changes) != 2 {
		t.Errorf("got %s", a.raw)
	}
}

// roleWith makes a custom role.
func roleWith(f *fixture, scope string, actions ...string) string {
	f.t.Helper()
	id := resource.NewUID().String()
	list, err := json.Marshal(actions)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put("owner", scope+"/providers/Microsoft.Authorization/roleDefinitions/"+id+"?api-version=2022-04-01",
		`{"properties":{"roleName":"role `+id+`","type":"CustomRole","assignableScopes":["`+scope+`"],"permissions":[{"actions":`+string(list)+`}]}}`).want(201)
	return id
}

func TestWhatPeopleWriteIsConfidential(t *testing.T) {
	f := newFixture(t)
	f.running()
	f.deploy("d", wrap(`{"parameters":{"p":{"type":"string"}},"resources":[{"type":"Microsoft.Storage/storageAccounts","apiVersion":"2023-01-01","name":"acct","location":"x"}],
	  "outputs":{"o":{"type":"string","value":"[parameters('p')]"}}}`, `{"p":{"value":"plain"}}`, "")).wantState("Succeeded")
	f.patch("owner", customerRG+"/providers/Microsoft.Storage/storageAccounts/acct", `{"tags":{"a":"b"}}`).want(200)
	for _, id := range []string{deployments + "d", customerRG + "/providers/Microsoft.Storage/storageAccounts/acct"} {
		if r, ok := f.store.Get(mustID(t, id)); !ok || !r.Confidential {
			t.Errorf("%s is not sealed", id)
		}
	}
	if a := f.get("owner", deployments+"d"); a.at("properties", "outputs", "o", "value") != "plain" {
		t.Errorf("got %s", a.raw)
	}
}
