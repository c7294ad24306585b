with reported as (
    select r.as_of_date from {{ ref('reporting_date') }} as r
),

submissions as (
    select d.currency, {{ month_start('d.first_submitted_on') }} as period_start, d.score
    from {{ ref('fact_decision') }} as d
    cross join reported as r
    where d.score is not null and d.first_submitted_on <= r.as_of_date
),

totals as (
    select s.currency, s.period_start, count(*) as applications
    from submissions as s
    group by s.currency, s.period_start
),

binned as (
    select t.currency, t.period_start, b.bin, t.applications, b.expected_share, count(s.score) as in_bin
    from totals as t
    cross join {{ ref('score_bins') }} as b
    left join submissions as s
        on s.currency = t.currency and s.period_start = t.period_start
        and s.score >= b.score_from and s.score < b.score_below
    group by t.currency, t.period_start, b.bin, t.applications, b.expected_share
),

-- An empty bin counts as 0.0001: the logarithm of nothing is none.
shares as (
    select
        b.*,
        {{ larger('cast(b.in_bin as float) / b.applications', '0.0001') }} as actual,
        {{ larger('cast(b.expected_share as float)', '0.0001') }} as expected
    from binned as b
)

select
    r.as_of_date,
    s.currency,
    s.period_start,
    s.bin,
    cast(s.in_bin as numeric(28, 4)) as numerator,
    cast(s.applications as numeric(28, 4)) as denominator,
    cast(s.actual as numeric(28, 10)) as actual_share,
    cast(s.expected as numeric(28, 10)) as expected_share,
    cast((s.actual - s.expected) * {{ natural_logarithm('s.actual / s.expected') }} as numeric(28, 10)) as contribution
from shares as s
cross join reported as r
