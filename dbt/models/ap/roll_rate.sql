with snapshots as (
    select c.snapshot_kind, c.snapshot_date, c.previous_month_end from {{ ref('snapshot_calendar') }} as c
),

rolled as (
    select
        s.snapshot_kind,
        s.snapshot_date as as_of_date,
        s.previous_month_end,
        o.currency,
        o.bucket as from_bucket,
        c.bucket as to_bucket,
        sum(o.outstanding_principal) as amount
    from snapshots as s
    inner join {{ ref('fact_loan_month') }} as o on o.snapshot_kind = 'month_end' and o.snapshot_date = s.previous_month_end
    inner join {{ ref('fact_loan_month') }} as c
        on c.loan_hk = o.loan_hk and c.snapshot_kind = s.snapshot_kind and c.snapshot_date = s.snapshot_date
    where o.status = 'open'
    group by s.snapshot_kind, s.snapshot_date, s.previous_month_end, o.currency, o.bucket, c.bucket
),

opened as (
    select r.snapshot_kind, r.as_of_date, r.previous_month_end, r.currency, r.from_bucket, sum(r.amount) as amount
    from rolled as r
    group by r.snapshot_kind, r.as_of_date, r.previous_month_end, r.currency, r.from_bucket
),

buckets as (
    select b.bucket
    from (values ('0'), ('1-30'), ('31-60'), ('61-90'), ('>90'), ('paid_off'), ('written_off'), ('cancelled')) as b(bucket)
)

select
    o.snapshot_kind as grain,
    o.as_of_date,
    o.previous_month_end as opened_on,
    o.currency,
    o.from_bucket,
    cast(b.bucket as varchar(11)) as to_bucket,
    cast(coalesce(r.amount, 0) as numeric(28, 4)) as numerator,
    cast(o.amount as numeric(28, 4)) as denominator,
    {{ ratio('coalesce(r.amount, 0)', 'o.amount') }} as value
from opened as o
cross join buckets as b
left join rolled as r
    on r.snapshot_kind = o.snapshot_kind and r.as_of_date = o.as_of_date and r.currency = o.currency
    and r.from_bucket = o.from_bucket and r.to_bucket = b.bucket
