package rewriter
import ("testing";"time";"fmt";"io";"bytes";"os";"strconv";"github.com/consentgate/consentgate/rewriter/internal/scan";"github.com/consentgate/consentgate/policy")
func TestMin(t *testing.T){
 reps,_:=strconv.Atoi(os.Getenv("REPS")); if reps==0 {reps=60}
 docs:=pages(t); n:=0; for _,d:=range docs {n+=len(d)}
 rw:=New(Options{})
 var sc scan.Scanner
 whole:=func(b policy.Bound, step int) func(){ return func(){ for _,d:=range docs { rw.Reset(io.Discard,testPage(b)); if step==0 {rw.Write(d)} else { for len(d)>0 {k:=min(step,len(d)); rw.Write(d[:k]); d=d[k:]} }; rw.Close() } } }
 den:=denied(); gr:=granted()
 stages:=[]struct{n string;f func()}{
  {"hop",func(){ for _,d:=range docs { for i:=0;i<len(d);i++ { j:=bytes.IndexByte(d[i:],'<'); if j<0 {break}; i+=j } } }},
  {"scan",func(){ for _,d:=range docs { a:=sc.Attrs; sc=scan.Scanner{Attrs:a}; for e:=sc.Next(d,true); e!=scan.Done; e=sc.Next(d,true){} } }},
  {"whole",whole(den,0)},{"4096",whole(den,4096)},{"1024",whole(den,1024)},{"granted",whole(gr,0)},
 }
 best:=make([]time.Duration,len(stages))
 for r:=0;r<reps;r++ { for i,s:=range stages { a:=time.Now(); s.f(); e:=time.Since(a); if best[i]==0||e<best[i]{best[i]=e} } }
 for i,s:=range stages { fmt.Printf("%-8s %8.3f ms %7.0f MB/s  %.2f hops\n",s.n,best[i].Seconds()*1e3,float64(n)/best[i].Seconds()/1e6, float64(best[i])/float64(best[0])) }
}
