import { jobText, planOf, TestRun } from './test-run.ts';
const src = { events: 'k STRING, u INT, score INT, ts TIMESTAMP', others: 'k STRING, v INT, ts TIMESTAMP' };
const show = (x: any) => console.log(JSON.stringify(x.rows), 'DEL', JSON.stringify(x.deletes));
const tryIt = (name: string, q: string, changes: any, steps: any[]) => {
  console.log('---', name);
  try { const run = new TestRun(planOf(jobText(q, src, changes))); 
  for (const st of run.plan.stages) console.log(st.kind, st.kind === 'state' ? JSON.stringify(st.state) + JSON.stringify(st.branch.operators.map((o) => o.kind)) : '');
  for (const s of steps) show(run.step(s)); } catch (e) { console.log(String((e as Error).stack).slice(0, 900)); }
};
const e = (k: string, u: number, score: number | null, s = u) => ({ k, u, score, ts: new Date(s * 1000).toISOString() });
tryIt('topN rank', 'SELECT k, u, rk FROM (SELECT *, rank() OVER (PARTITION BY k ORDER BY score DESC) AS rk FROM events) t WHERE rk <= 2', { outputMode: 'update' }, [
  { events: [e('a', 1, 10), e('a', 2, 20)] }, { events: [e('a', 4, 20)] }]);
tryIt('lag filter', 'SELECT k, u, p FROM (SELECT *, lag(score) OVER (PARTITION BY k ORDER BY ts) AS p FROM events) t WHERE p > 5', { outputMode: 'update' }, [
  { events: [e('a', 1, 10), e('a', 5, 20)] }, { events: [e('a', 4, 1)] }]);
tryIt('topN', 'SELECT k, u FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY score DESC) AS rk FROM events) t WHERE rk <= 2', { outputMode: 'update' }, [
  { events: [e('a', 1, 10), e('a', 2, 20)] }, { events: [e('a', 4, 20)] }]);
tryIt('rn=2', 'SELECT k, u, rk FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY score DESC) AS rk FROM events) t WHERE rk = 2', { outputMode: 'update' }, [
  { events: [e('a', 1, 10), e('a', 2, 20)] }, { events: [e('a', 4, 20)] }]);
