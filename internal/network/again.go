package network

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// RetryAfter returns how long a 429 asks to wait, in any of the three spellings that Azure uses, but at least as long
// as advice and at most limit. A shorter wait, such as 0 or a date by a slow clock, would use up all retries at once.
// https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azcore/internal/shared/shared.go
func RetryAfter(response *http.Response, advice, limit time.Duration) time.Duration {
	if response == nil {
		return advice
	}
	for _, spelling := range []struct {
		header string
		unit   time.Duration
	}{{"retry-after-ms", time.Millisecond}, {"x-ms-retry-after-ms", time.Millisecond}, {"Retry-After", time.Second}} {
		text := response.Header.Get(spelling.header)
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
			return min(max(time.Duration(n)*spelling.unit, advice), limit)
		}
		if date, err := http.ParseTime(text); err == nil {
			return min(max(time.Until(date), advice), limit)
		}
	}
	return advice
}

// Backoff returns how long to wait after that many tries: 0.8, 2.4, 5.6 s, each times a random factor in [0.8, 1.3).
func Backoff(tries int) time.Duration {
	base := time.Duration(1<<tries-1) * 800 * time.Millisecond
	return base*8/10 + rand.N(base/2)
}

// Outlive returns a context that ends a grace after ctx.
func Outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}
