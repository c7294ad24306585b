{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=["{{ delete_stale(in_stale_partition('fact_loan_month', 'grain', 'as_of_date')) }}"],
) }}

with
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},

-- Loans that no KPI tells apart are one row, so that what follows is about few.
cells as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.status, m.bucket, m.is_restructured, m.is_non_performing,
        case when m.days_past_due > 90 then 91 when m.days_past_due > 60 then 61 when m.days_past_due > 30 then 31 when m.days_past_due > 0 then 1 else 0 end as days_past_due,
        count(*) as loans,
        sum(m.outstanding_principal) as outstanding_principal,
        sum(m.gross_amount) as gross_amount,
        sum(m.exposure_amount) as exposure_amount
    from fact_loan_month as m
    where {{ in_stale_partition('fact_loan_month', 'm.snapshot_kind', 'm.snapshot_date') }}
    group by
        m.snapshot_kind, m.snapshot_date, m.currency, m.product_code, m.status, m.bucket, m.is_restructured, m.is_non_performing,
        case when m.days_past_due > 90 then 91 when m.days_past_due > 60 then 61 when m.days_past_due > 30 then 31 when m.days_past_due > 0 then 1 else 0 end
),

loans as (
{{- whole_and_products('cells', [
    'snapshot_kind', 'snapshot_date', 'currency', 'status', 'days_past_due', 'is_restructured', 'is_non_performing', 'loans',
    'outstanding_principal', 'gross_amount', 'exposure_amount',
]) -}}
),

sums as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, m.dimension, m.member,
        sum(m.exposure_amount) as exposure,
        sum(case when m.status = 'open' then m.loans else 0 end) as open_loans,
        sum(m.outstanding_principal) as outstanding,
        sum(m.gross_amount) as gross,
        sum(case when m.is_non_performing = 1 then m.gross_amount else 0 end) as non_performing
        {%- for x in [0, 30, 60, 90] %},
        sum(case when m.days_past_due > {{ x }} then m.outstanding_principal else 0 end) as par_{{ x }},
        sum(case when m.days_past_due <= {{ x }} and m.is_restructured = 1 then m.outstanding_principal else 0 end) as par_{{ x }}_restructured
        {%- endfor %}
    from loans as m
    group by m.snapshot_kind, m.snapshot_date, m.currency, m.dimension, m.member
),

by_bucket as (
    select
        m.snapshot_kind, m.snapshot_date, m.currency, 'bucket' as dimension, m.bucket as member,
        sum(m.outstanding_principal) as in_bucket
    from cells as m
    where m.status = 'open'
    group by m.snapshot_kind, m.snapshot_date, m.currency, m.bucket
),

kpis as (
    select k.kpi
    from (values ('exposure'), ('npl_ratio'){% for x in [0, 30, 60, 90] %}, ('par_{{ x }}'), ('par_{{ x }}_restructured'){% endfor %}) as k(kpi)
),

gathered as (
    select
        s.snapshot_kind, s.snapshot_date, k.kpi, s.currency, s.dimension, s.member,
        case k.kpi
            when 'exposure' then s.exposure
            when 'npl_ratio' then s.non_performing
            {%- for x in [0, 30, 60, 90] %}
            when 'par_{{ x }}' then s.par_{{ x }}
            when 'par_{{ x }}_restructured' then s.par_{{ x }}_restructured
            {%- endfor %}
        end as numerator,
        case k.kpi when 'exposure' then s.open_loans when 'npl_ratio' then s.gross else s.outstanding end as denominator
    from sums as s
    cross join kpis as k
    union all
    select b.snapshot_kind, b.snapshot_date, 'dpd_bucket_share', b.currency, b.dimension, b.member, b.in_bucket, s.outstanding
    from by_bucket as b
    inner join sums as s
        on s.snapshot_kind = b.snapshot_kind and s.snapshot_date = b.snapshot_date and s.currency = b.currency and s.dimension = 'all'
),

final as (
    select
        g.snapshot_date as as_of_date,
        cast(g.snapshot_kind as varchar(20)) as grain,
        g.snapshot_date as period_start,
        cast(g.kpi as varchar(40)) as kpi,
        g.currency,
        cast(g.dimension as varchar(16)) as dimension,
        cast(g.member as varchar(64)) as member,
        cast(g.numerator as numeric(38, 4)) as numerator,
        cast(g.denominator as numeric(38, 4)) as denominator,
        -- Exposure is an amount: its value is the sum, its denominator the loans that make it.
        case when g.kpi = 'exposure' then cast(g.numerator as numeric(38, 10)) else {{ ratio('g.numerator', 'g.denominator') }} end as value
    from gathered as g
)

select * from final
