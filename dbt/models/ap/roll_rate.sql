{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ delete_stale(in_stale_partition('fact_loan_month', 'grain', 'as_of_date') ~ ' or ' ~ in_stale_partition_of('fact_loan_month', 'month_end', 'opened_on')) }}",
    ],
) }}

with
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},

snapshots as (
    select c.snapshot_kind, c.snapshot_date, c.previous_month_end
    from snapshot_calendar as c
    where {{ in_stale_partition('fact_loan_month', 'c.snapshot_kind', 'c.snapshot_date') }}
        or {{ in_stale_partition_of('fact_loan_month', 'month_end', 'c.previous_month_end') }}
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
    inner join fact_loan_month as o on o.snapshot_kind = 'month_end' and o.snapshot_date = s.previous_month_end
    inner join fact_loan_month as c
        on c.loan_hk = o.loan_hk and c.snapshot_kind = s.snapshot_kind and c.snapshot_date = s.snapshot_date
    where o.status = 'open'
    group by s.snapshot_kind, s.snapshot_date, s.previous_month_end, o.currency, o.bucket, c.bucket
),

buckets as (
    select b.bucket
    from (values ('0'), ('1-30'), ('31-60'), ('61-90'), ('>90'), ('paid_off'), ('written_off'), ('cancelled')) as b(bucket)
),

final as (
    -- What was not rolled into a bucket is 0 of the same opening balance.
    select
        r.snapshot_kind as grain,
        r.as_of_date,
        r.previous_month_end as opened_on,
        r.currency,
        r.from_bucket,
        cast(b.bucket as varchar(11)) as to_bucket,
        cast(sum(case when r.to_bucket = b.bucket then r.amount else 0 end) as numeric(38, 4)) as numerator,
        cast(sum(r.amount) as numeric(38, 4)) as denominator,
        {{ ratio('sum(case when r.to_bucket = b.bucket then r.amount else 0 end)', 'sum(r.amount)') }} as value
    from rolled as r
    cross join buckets as b
    group by r.snapshot_kind, r.as_of_date, r.previous_month_end, r.currency, r.from_bucket, b.bucket
)

select * from final
